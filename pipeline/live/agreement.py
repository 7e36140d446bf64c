"""Hold a paper ledger against a backtest of the same candles: trade by trade, day by day."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from gpu_engine import REASONS, Window
from pipeline.live.booking import days_of, paper_trade
from pipeline.live.trader import Series, Trader
from pipeline.results.live_models import PaperDay, PaperTrade

#: Returns agree to so much, prices to the same share of them (`gpu_engine.agreement`).
TOLERANCE = 1e-12
#: Fields of a trade that a backtest has none of.
_OWN = ("number", "booked_at", "called")
_EXACT = ("side", "setup_at", "signal_at", "entry_at", "exit_at", "reason")


def differences(
    trader: Trader, series: Series, trades: Sequence[PaperTrade], days: Sequence[PaperDay]
) -> Iterator[str]:
    """Yield what a ledger has otherwise than the backtest of a series, a clause each.

    Parameters
    ----------
    series : Series
        From the account's first candle to the last one that is booked.
    trades, days : sequence
        Of the ledger.
    """
    candles = series.candles
    if series.start >= len(candles):
        return
    window = Window(series.start, len(candles))
    rows = trader.evaluator(candles).trades(trader.point, window)
    closed = rows[rows["reason"] != REASONS.index("end")]
    expected = [paper_trade(candles, row, number) for number, row in enumerate(closed)]
    yield from _of_trades(expected, trades)
    yield from _of_days(days_of(trader, series, rows), days)


def _of_trades(expected: Sequence[PaperTrade], got: Sequence[PaperTrade]) -> Iterator[str]:
    for number, (one, other) in enumerate(zip(expected, got, strict=False)):
        names = [field.name for field in fields(PaperTrade) if field.name not in _OWN]
        fields_apart = [name for name in names if not _same(name, one, other)]
        if fields_apart:
            name = fields_apart[0]
            yield (
                f"trade {number} of {other.entry_at:%Y-%m-%d %H:%M} UTC: {name} is"
                f" {getattr(other, name)}, in the backtest {getattr(one, name)}"
            )
            return
    if len(expected) != len(got):
        yield f"{len(got)} trades, in the backtest {len(expected)}"


def _same(name: str, one: PaperTrade, other: PaperTrade) -> bool:
    a, b = getattr(one, name), getattr(other, name)
    if name in _EXACT or a is None or b is None:
        return bool(a == b)
    return bool(abs(a - b) <= TOLERANCE * (1.0 if name == "ret" else abs(a)))


def _of_days(expected: Sequence[PaperDay], got: Sequence[PaperDay]) -> Iterator[str]:
    for one, other in zip(expected, got, strict=False):
        if one.day != other.day or abs(one.ret - other.ret) > TOLERANCE:
            yield f"day {other.day}: {other.ret!r}, in the backtest {one.ret!r} (day {one.day})"
            return
    if len(expected) != len(got):
        yield f"{len(got)} days, in the backtest {len(expected)}"
