"""List markets to train on: scripts/markets [EXCHANGE [PATTERN]] [--json] (docs/markets.md).

Without an exchange it lists those that the library ccxt knows and that serve candles; nobody is
asked. With one it lists the pairs that the exchange has: its spot markets and linear perpetual
contracts, their fees and the day of their first candle. PATTERN leaves some out: DOGE, 'DOGE/*',
'*:USDT'. data.proxy=... and data.ca=... are the way to the exchange, as in scripts/fetch.

Exit status: 0 listed, 1 the exchange did not answer, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.cli import command
from pipeline.cli.arguments import read_listing
from pipeline.cli.console import Console
from pipeline.config import CcxtData, FetchConfig, load
from pipeline.errors import UserError

USAGE = "scripts/markets [EXCHANGE [PATTERN]] [data.proxy=...] [data.ca=...] [--json]"
KEYS = ("data.proxy", "data.ca")


def main(arguments: Sequence[str] | None = None) -> int:
    """List exchanges or markets, and return the exit status."""
    line = read_listing("markets", USAGE, __doc__, arguments)
    words, settings = line.ids, line.overrides
    if len(words) > 2 or any(word.partition("=")[0] not in KEYS for word in settings):
        raise UserError(
            "This takes the name of an exchange and, if you like, a pattern such as 'DOGE/*';"
            f" given: {' '.join(line.words)}. Usage: {USAGE}."
        )
    data = load(settings, FetchConfig, "fetch").data
    console = Console()
    if words:
        exchange, pattern = words if len(words) == 2 else (words[0], "*")
        _show_markets(console, exchange, pattern, data, as_json=line.options.json)
    else:
        _show_exchanges(console, as_json=line.options.json)
    return command.DONE


def _show_exchanges(console: Console, *, as_json: bool) -> None:
    from pipeline.market_data.exchange.listing import exchanges

    rows = list(exchanges())
    if as_json:
        _print_json(console, {"exchanges": [asdict(row) for row in rows]})
        return
    console.table(
        "Exchanges that ccxt knows and that serve candles",
        ("exchange", "spot fee", "perpetual fee", "funding history"),
        [
            (
                row.name,
                _fee(row.spot_fee) if row.spot else "-",
                _fee(row.perpetual_fee) if row.perpetual else "-",
                ("yes" if row.funding else "no") if row.perpetual else "-",
            )
            for row in rows
        ],
    )
    console.print(
        f"{len(rows)} exchanges. Fees are those of takers in ccxt; - where there are no such"
        " markets. scripts/markets EXCHANGE asks one for its markets."
    )


def _show_markets(
    console: Console, exchange: str, pattern: str, data: CcxtData, *, as_json: bool
) -> None:
    from pipeline.market_data.exchange.listing import MOST_ASKED, markets_of

    timeframes, rows, others = markets_of(exchange, pattern, console.note, data.network)
    if as_json:
        found = [{"symbol": row.symbol, "first": row.first, **asdict(row.facts)} for row in rows]
        values = {"exchange": exchange, "timeframes": timeframes, "markets": found}
        _print_json(console, values | {"others": others})
        return
    if rows:
        console.table(
            f"Markets of {exchange}",
            ("symbol", "kind", "taker fee", "maker fee", "first candle"),
            [
                (
                    row.symbol,
                    row.facts.contract.removeprefix("linear "),
                    _fee(row.facts.taker),
                    _fee(row.facts.maker),
                    row.first or "unknown",
                )
                for row in rows
            ],
        )
    more = f"; {others} more expire, are inverse or have names that cannot be typed" * (others > 0)
    console.print(f"{len(rows)} markets of {exchange} fit {pattern}{more}.")
    if any(row.first is None for row in rows) and len(rows) > MOST_ASKED:
        console.print(
            f"The first candle is asked for where at most {MOST_ASKED} markets fit a pattern."
        )
    if timeframes:
        console.print(f"Timeframes: {', '.join(timeframes)}")
    else:
        console.print("It serves no candles through ccxt: they must come from files.")
    if rows and timeframes:
        timeframe = "1h" if "1h" in timeframes else timeframes[-1]
        console.print(f"In one word: market={exchange}:{rows[0].symbol}:{timeframe}")


def _fee(fee: float | None) -> str:
    return "unknown" if fee is None else f"{100 * fee:.4g} %"


def _print_json(console: Console, values: dict[str, Any]) -> None:
    from pipeline.results.jsonable import dumps

    console.print(dumps(values))


if __name__ == "__main__":
    command.run_plain(main)
