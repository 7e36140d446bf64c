"""Say what a run assumes about its market, and where the exchange's own figures differ from it."""

from collections.abc import Iterator

from pipeline.config import CostsConfig, MarketConfig
from pipeline.market_data.exchange.facts import MarketFacts


def assumptions(
    market: MarketConfig, costs: CostsConfig, facts: MarketFacts | None
) -> Iterator[str]:
    """Yield a sentence for each.

    A cost that was given by hand is no assumption and is not compared: whoever gave it knows.

    Parameters
    ----------
    market : MarketConfig
    costs : CostsConfig
        What the run reckons with.
    facts : MarketFacts or None
        What the exchange says of the market; None where it was not asked.
    """
    if market.synthetic:
        return
    exchange = market.exchange
    if facts is not None:
        yield from _differences(market, costs, facts)
        if facts.active is False:
            yield f"{market.id}: {exchange.name} says that it is not traded now."
    assumed = exchange.assumed or ()
    if "slippage" in assumed and costs.slippage == exchange.slippage:
        yield (
            f"{market.id}: the slippage of {costs.slippage:g} is assumed, for no exchange states"
            " one: costs.slippage=... gives your own."
        )
    by_default = costs.fee_rate == exchange.fee_rate
    if "fee_rate" in assumed and by_default and (facts is None or facts.taker is None):
        yield (
            f"{market.id}: the fee of {costs.fee_rate:g} is assumed, for ccxt knows none of"
            f" {exchange.name}: costs.fee_rate=... gives your own."
        )
    elif exchange.assumed is not None and by_default and facts is None:
        maker = costs.maker_fee
        at_target = "" if maker is None else f" ({maker:g} of an exit at a target)"
        yield (
            f"{market.id}: the fee of {costs.fee_rate:g}{at_target} is that of ccxt's class, for"
            f" {exchange.name} itself was not asked: costs.fee_rate=... and costs.maker_fee=..."
            " give your own."
        )


def _differences(market: MarketConfig, costs: CostsConfig, facts: MarketFacts) -> Iterator[str]:
    """Name the fees that differ, and the words that take the exchange's."""
    exchange = market.exchange
    rows: list[tuple[str, str, float, float | None, float | None]]
    rows = [("taker", "fee_rate", costs.fee_rate, exchange.fee_rate, facts.taker)]
    if costs.maker_fee is not None:
        rows.append(("maker", "maker_fee", costs.maker_fee, exchange.maker_fee, facts.maker))
    different = [
        (kind, key, used, own)
        for kind, key, used, default, own in rows
        if own is not None and used == default and used != own
    ]
    if different:
        owns = " and ".join(f"a {kind} fee of {own:g}" for kind, _, _, own in different)
        used = " and ".join(f"{used:g}" for _, _, used, _ in different)
        words = " ".join(f"costs.{key}={own:g}" for _, key, _, own in different)
        yield (
            f"{market.id}: {exchange.name} states {owns} ({facts.asked}), and this run reckons with"
            f" {used}: {words} takes the exchange's."
        )
