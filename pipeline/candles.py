"""List stored candles: scripts/candles [MARKET] [data.store=DIR] [--json] (docs/store.md).

MARKET, a name or EXCHANGE:SYMBOL:TIMEFRAME, shows one month by month. "missing" are candles that
the exchange does not have, "not asked" those that a fetch would still ask for. The quality is held
against the default limits of a training.

Exit status: 0 listed, 2 a mistake in what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import read_listing
from pipeline.cli.console import Console
from pipeline.config import FetchConfig, load
from pipeline.errors import UserError, suggestion
from pipeline.validation.wording import plural

if TYPE_CHECKING:
    from pipeline.market_data.store.inventory import StoredMarket

USAGE = "scripts/candles [MARKET] [data.store=DIR] [--json]"


def main(arguments: Sequence[str] | None = None) -> int:
    """List markets, or show one, and return the exit status."""
    line = read_listing("candles", USAGE, __doc__, arguments)
    names, others = line.ids, line.overrides
    if len(names) > 1 or any(not word.startswith("data.store=") for word in others):
        raise UserError(
            f"This takes one market at most, and data.store=DIR; given: {' '.join(line.words)}."
            f" Usage: {USAGE}."
        )
    store = Path(load(others, FetchConfig, "fetch").data.store)
    console = Console()
    if names:
        _show_one(console, _chosen(names[0], store), as_json=line.options.json)
    else:
        _show_all(console, store, as_json=line.options.json)
    return command.DONE


def _chosen(name: str, store: Path) -> StoredMarket:
    """Return the stored market that a person means."""
    from pipeline.market_data.store.inventory import stored_markets

    stored = {market.id: market for market in stored_markets(store)}
    if name not in stored:
        name = load([f"market={name}"], FetchConfig, "fetch").market.stored_id
    if name not in stored:
        raise UserError(
            f"{store} has no candles of {name}; it has {', '.join(stored) or 'none at all'}."
            f"{suggestion(name, stored)} scripts/fetch market={name} fetches them."
        )
    return stored[name]


def _show_all(console: Console, store: Path, *, as_json: bool) -> None:
    from pipeline.market_data.quality.report import QualityLimits, in_short
    from pipeline.market_data.store.inventory import figures, stored_markets, with_quality

    markets = stored_markets(store)
    unknown = sum(market.candles for market in markets if market.quality is None)
    with console.progress("measuring", unknown) as advance:
        for number, market in enumerate(markets):
            if market.quality is None:
                markets[number] = with_quality(market)
                advance(market.candles)
    if as_json:
        found = {"store": str(store), "candles": [figures(m) for m in markets]}
        console.print(json.dumps(found, ensure_ascii=False))
        return
    if not markets:
        console.print(f"{store} holds no candles yet: scripts/fetch market=NAME fetches some.")
        return
    columns = ("market", "candles", "from", "to", "missing", "not asked", "MB", "quality")
    rows = [
        (
            market.id,
            f"{market.candles:,}",
            _day(market.first),
            _day(market.last),
            f"{market.missing:,}",
            f"{market.unasked:,}",
            f"{market.bytes / 1e6:,.1f}",
            in_short(market.quality, QualityLimits()) if market.quality else "too few",
        )
        for market in markets
    ]
    console.table(f"Candles in {store}", columns, rows)
    for market in markets:
        for sentence in _remarks(market):
            console.print(sentence)
    total = sum(market.bytes for market in markets)
    console.print(f"{plural(len(markets), 'market')}, {total / 1e6:,.1f} MB.")


def _show_one(console: Console, market: StoredMarket, *, as_json: bool) -> None:
    from pipeline.market_data.quality.report import as_table
    from pipeline.market_data.store.inventory import figures, with_quality

    market = with_quality(market)
    if as_json:
        months = [vars(month) for month in market.months]
        console.print(json.dumps(figures(market) | {"months": months}, ensure_ascii=False))
        return
    rows = [
        (
            month.name,
            f"{month.candles:,}",
            f"{month.missing:,}",
            f"{month.bytes / 1e3:,.0f}",
            month.written.replace("T", " ").removesuffix("+00:00"),
            ", ".join(month.sources),
        )
        for month in market.months
    ]
    columns = ("month", "candles", "missing", "kB", "written (UTC)", "from")
    console.table(market.id, columns, rows)
    if market.quality:
        console.table(*as_table(market.quality))
    for sentence in _remarks(market):
        console.print(sentence)


def _remarks(market: StoredMarket) -> list[str]:
    """Say of a market what its row has no place for."""
    from pipeline.market_data.timeframe import utc

    said = [f"{market.id}: {name} is damaged; a fetch replaces it." for name in market.damaged]
    if market.holes:
        holes = ", ".join(f"{utc(start)} to {utc(end)}" for start, end in market.holes[:3])
        more = f" and {len(market.holes) - 3} more" if len(market.holes) > 3 else ""
        said.append(f"{market.id}: not asked: {holes}{more}.")
    if market.funding:
        first, last = _day(market.funding.first), _day(market.funding.last)
        said.append(
            f"{market.id}: {market.funding.payments:,} funding payments from {first} to {last}."
        )
    return said


def _day(time: int | None) -> str:
    from pipeline.market_data.timeframe import utc

    return "" if time is None else utc(time)[:10]


if __name__ == "__main__":
    command.run_plain(main)
