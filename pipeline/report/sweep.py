"""Say what a sweep came to, and lay its markets out by what they are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.report.loading import SweptMarket
from pipeline.results.records import SweepView
from pipeline.validation.stages import Q_LIMIT, STAGES
from pipeline.validation.wording import defined, number, percent, share, small, trainings


def verdicts(markets: Sequence[SweptMarket]) -> list[str]:
    """Count the stages, the highest first, and say what each means; all without one in a line."""
    counted = Counter((market.stage, market.outcome, market.verdict) for market in markets)
    ranked = sorted(counted, key=lambda kind: (-STAGES.index(kind[0]) if kind[0] else 1, *kind[1:]))
    lines = [f"{counted[kind]} {kind[1]}: {kind[2]}" for kind in ranked if kind[2]]
    bare = ", ".join(f"{counted[kind]} {kind[1]}" for kind in ranked if not kind[2])
    return [*lines, bare] if bare else lines


def luck(sweep: SweepView, markets: Sequence[SweptMarket]) -> list[str]:
    """Say how many markets stand out once all are counted (Benjamini and Hochberg 1995).

    One sentence for each kind of candles: they are judged apart (validation rules §3.2). Nothing
    before they were judged.
    """
    if sweep.pooled is None:
        return []
    return [line for invented in (False, True) for line in _luck(markets, invented)]


def _luck(markets: Sequence[SweptMarket], invented: bool) -> Iterator[str]:
    tested = [
        market
        for market in markets
        if market.deciding_p is not None and market.synthetic is invented
    ]
    if not tested:
        return
    keys = len({market.key for market in tested})
    unit = "market" if keys == len(tested) else "training"
    found = sum(m.fdr_q_value is not None and m.fdr_q_value < Q_LIMIT for m in tested)
    stand, was = "stands" if found == 1 else "stand", "was" if len(tested) == 1 else "were"
    rest = f" Of {unit}s that stand out so, at most {100 * Q_LIMIT:.0f} % are luck on average."
    yield (
        f"Of {trainings(len(tested), keys, invented)} that {was} tried, {found} {stand}"
        f" out when all tries are counted (q below {number(Q_LIMIT)}).{rest if found else ''}"
    )


class Matrix(NamedTuple):
    """The markets of a sweep, a row for each pair and a column for each timeframe.

    ``rows`` are pairs, with the strategy where there are several, each with its cell for every
    timeframe: None where the sweep had no such market.
    """

    timeframes: list[str]
    rows: list[tuple[str, list[SweptMarket | None]]]


def matrix(markets: Sequence[SweptMarket]) -> Matrix:
    """Lay out the markets of a sweep by what they are, in its order."""
    found = {market.timeframe for market in markets}  # an edited one is none: it comes last
    timeframes = sorted(found, key=lambda one: (one not in TIMEFRAMES, TIMEFRAMES.get(one, 0), one))
    several = len({market.strategy for market in markets}) > 1
    cells: dict[str, dict[str, SweptMarket]] = {}
    for market in markets:
        name = f"{market.exchange}:{market.pair}" + (f" · {market.strategy}" if several else "")
        name += f" ({market.key})" if market.twin else ""
        cells.setdefault(name, {})[market.timeframe] = market
    return Matrix(
        timeframes, [(name, [row.get(one) for one in timeframes]) for name, row in cells.items()]
    )


def in_figures(market: SweptMarket) -> str:
    """Say what a market came to: ``binance:BTC/USDT:1h: PAPER, net -1.7 %, Sharpe -0.4, ...``."""
    said = f"{market.name}: {market.outcome}"
    if market.configuration is None:
        return f"{said}. {market.error}" if market.error else said
    figures = (
        ("net", defined(market.figure("net_profit"), percent)),
        ("holding", defined(market.figure("hold_net_profit"), percent)),
        ("Sharpe", defined(market.figure("sharpe_ratio"), ".2f")),
        ("drawdown", defined(market.figure("max_drawdown"), share)),
        ("trades", defined(market.figure("sample_size"), ",.0f")),
        ("beats luck", market.configuration.luck.answer),
        ("p", defined(market.p_value, small)),
        ("q", defined(market.fdr_q_value, small)),
    )
    return f"{said}, " + ", ".join(f"{name} {value}" for name, value in figures)
