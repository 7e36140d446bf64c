"""Define the records that callers and backends share: frozen, arrays, a unit for every field.

Symbols, here and in every backend: ``n`` bars, ``m`` event rows, ``K`` threshold parameters,
``U`` units (one event table and one threshold vector each), ``X`` exit settings a unit,
``W`` windows, ``D`` UTC calendar days of a window. A *combination* is one (unit, exit) pair.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

DAY_MS = 86_400_000

Float = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Direction = Literal["both", "long", "short"]
#: Takes how much was done since the last call, of an engine: combinations times windows.
Advance = Callable[[int], None]

#: Exit reasons in the order in which they are tried (exits rules §5), but for the last, which
#: takes the place of a stop (exits rules §8.4); the code is the position.
REASONS = ("stop_gap", "target_gap", "signal", "stop", "target", "time", "end", "liquidation")
STOP_GAP, TARGET_GAP, SIGNAL, STOP, TARGET, TIME, END, LIQUIDATION = range(len(REASONS))

#: Metrics of one backtest (fills rules §10). Fractions, not percent; annualised with 365 days.
#: ``sortino_ratio``, ``calmar_ratio`` and ``profit_factor`` are NaN where they are undefined:
#: nothing was lost, or Calmar overflows. Nothing else is ever NaN.
METRICS = np.dtype(
    [
        ("net_profit", np.float64),
        ("sharpe_ratio", np.float64),
        ("sortino_ratio", np.float64),
        ("max_drawdown", np.float64),
        ("calmar_ratio", np.float64),
        ("sample_size", np.int64),
        ("win_rate", np.float64),
        ("avg_win", np.float64),
        ("avg_loss", np.float64),
        ("profit_factor", np.float64),
        ("n_days", np.int64),
    ]
)

#: One closed trade. Bars index the regular grid; prices in the quote currency, after slippage;
#: ``reason`` indexes `REASONS`; ``ret`` is net of all costs, on notional (not times
#: `RiskLimits.exposure`); ``stop`` and ``target`` are the levels at entry (exits rules §2, §8.3),
#: NaN for none.
TRADE = np.dtype(
    [
        ("side", np.int8),
        ("setup_bar", np.int32),
        ("signal_bar", np.int32),
        ("entry_bar", np.int32),
        ("exit_bar", np.int32),
        ("entry", np.float64),
        ("exit", np.float64),
        ("reason", np.int8),
        ("ret", np.float64),
        ("stop", np.float64),
        ("target", np.float64),
    ]
)


@dataclass(frozen=True, eq=False)
class Candles:
    """Candles of one market on a regular grid, oldest first (candles rules §1).

    `pipeline.market_data.grid.make_regular` builds them.

    Attributes
    ----------
    timestamp : int64 array of shape (n,)
        Open time, milliseconds since the epoch, UTC; consecutive values differ by ``step_ms``.
    open, high, low, close : float64 arrays of shape (n,)
        Prices in the quote currency.
    volume : float64 array of shape (n,)
        In the base currency.
    filled : bool array of shape (n,)
        True where the exchange had no candle and the previous close stands in, with volume 0.
    step_ms : int
        Length of a candle in milliseconds.
    funding : Funding, optional
        What positions in a perpetual contract pay; None on spot.
    """

    timestamp: Int64
    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float
    filled: Bool
    step_ms: int
    funding: Funding | None = None

    #: Names of the arrays.
    COLUMNS: ClassVar = ("timestamp", "open", "high", "low", "close", "volume", "filled")

    def __len__(self) -> int:
        return len(self.timestamp)

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: every column, little endian, the step, and funding if there is."""
        digest = hashlib.sha256(str(self.step_ms).encode())
        for column in (self.timestamp, self.open, self.high, self.low, self.close, self.volume):
            digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
        digest.update(np.packbits(self.filled).tobytes())
        if self.funding is not None:
            for column in (self.funding.timestamp, self.funding.rate):
                digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    @cached_property
    def day(self) -> Int32:
        """UTC calendar day of every bar's open, days since the epoch, int32 of shape (n,)."""
        return (self.timestamp // DAY_MS).astype(np.int32)

    def cut(self, start: int, end: int) -> Candles:
        """Cut bars ``[start, end)`` out as candles of their own, with what they pay."""
        columns: dict[str, Any] = {n: getattr(self, n)[start:end] for n in self.COLUMNS}
        funding = self.funding and self.funding.within(columns["timestamp"])
        return replace(self, **columns, funding=funding)

    def read_only(self) -> Candles:
        """Return the same candles in arrays that cannot be written to; nothing is copied."""
        columns: dict[str, Any] = {name: getattr(self, name).view() for name in self.COLUMNS}
        for column in columns.values():
            column.flags.writeable = False
        return replace(self, **columns)

    def days_of(self, window: Window) -> int:
        """Count the UTC calendar days from the first bar of a window to its last: D."""
        return int(self.day[window.end - 1] - self.day[window.start]) + 1

    def calendar(self, window: Window) -> Int32:
        """Every UTC calendar day of a window, days since the epoch, int32 of shape (D,)."""
        first = self.day[window.start]
        return np.arange(first, first + self.days_of(window), dtype=np.int32)


@dataclass(frozen=True, eq=False)
class EventTable:
    """Signals of one structural setting, in the order in which they are taken (fills rules §6.1).

    The last three columns are None where the strategy has none (exits rules §1).

    Attributes
    ----------
    setup_bar, signal_bar : int32 arrays of shape (m,)
        First bar that a row depends on, and the signal bar ``r``; sorted by ``signal_bar``, then
        ``setup_bar``, then long first.
    side : int8 array of shape (m,)
        +1 long, -1 short.
    atr : float64 array of shape (m,)
        ATR at the signal bar, quote currency: a unit of the exits. Never NaN, > 0.
    features : float64 array of shape (m, K)
        One column a threshold parameter, in the order of the strategy's thresholds. NaN fails.
    stop_level, target_level : float64 arrays of shape (m,), or None
        Prices known at the close of the signal bar; NaN where the row has none.
    exit_signal_bar : int32 array of shape (m,), or None
        First bar after the signal bar at whose close the strategy wants out; -1 for never.
    """

    setup_bar: Int32
    signal_bar: Int32
    side: NDArray[np.int8]
    atr: Float
    features: Float
    stop_level: Float | None = None
    target_level: Float | None = None
    exit_signal_bar: Int32 | None = None

    def __len__(self) -> int:
        return len(self.signal_bar)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns that the strategy has, by name."""
        return {name: column for name, column in vars(self).items() if column is not None}

    def at(self, rows: NDArray[Any]) -> EventTable:
        """Return some of the rows, given by index or mask."""
        return EventTable(**{name: column[rows] for name, column in self.columns().items()})

    def moved(self, bars: int) -> EventTable:
        """Return the table with all bars so much higher; an exit signal of -1 stays."""
        step, leave = np.int32(bars), self.exit_signal_bar
        return replace(
            self,
            setup_bar=self.setup_bar + step,
            signal_bar=self.signal_bar + step,
            exit_signal_bar=None if leave is None else np.where(leave < 0, leave, leave + step),
        )


@dataclass(frozen=True, eq=False)
class Funding:
    """Funding of a perpetual contract (exits rules §6): a long pays a positive rate.

    ``timestamp``, int64 of shape (F,), milliseconds since the epoch, UTC, ascending; ``rate``,
    float64 of shape (F,), a fraction of the position's notional.
    """

    timestamp: Int64
    rate: Float

    def sums(self, candles: Candles) -> Float:
        """Sum the rates up to the open time of every bar, itself included; shape (n,).

        The difference of two bars is what a trade pays between them. Rates are rounded to a grid
        on which all sums are exact (2**-52 of their total size), so that what cancels within a
        trade leaves 0 whatever was paid before it: a return of -1e-20 would count as a loss.
        """
        total = float(np.abs(self.rate).sum())
        grid = 2.0 ** (math.ceil(math.log2(total)) - 51) if total > 0.0 else 1.0
        exact = grid * np.rint(self.rate / grid)
        sums = np.concatenate(([0.0], np.cumsum(exact)))
        return sums[np.searchsorted(self.timestamp, candles.timestamp, "right")]

    def within(self, opens: Int64) -> Funding:
        """Return the payments that a trade between two of these open times can meet."""
        first, last = (opens[0], opens[-1]) if len(opens) else (0, 0)
        inside = (self.timestamp > first) & (self.timestamp <= last)
        return Funding(self.timestamp[inside], self.rate[inside])

    def check(self) -> None:
        """Refuse a series that is not in order of time, or has a rate that is no number.

        Raises
        ------
        ValueError
            The message says what is wrong where.
        """
        if self.timestamp.shape != self.rate.shape:
            raise ValueError(
                f"funding needs one rate for each time; got {len(self.rate)} rates and"
                f" {len(self.timestamp)} times"
            )
        if not np.isfinite(self.rate).all():
            row = int(np.flatnonzero(~np.isfinite(self.rate))[0])
            raise ValueError(f"funding rate {row} must be a finite number; got {self.rate[row]}")
        if np.any(np.diff(self.timestamp) < 0):
            row = int(np.flatnonzero(np.diff(self.timestamp) < 0)[0]) + 1
            raise ValueError(f"funding times must ascend; time {row} is before the one before it")


@dataclass(frozen=True)
class Costs:
    """What a trade costs (exits rules §6); all rates are fractions.

    ``fee_rate`` is a taker's, per side; ``maker_fee`` a target's, None when it is the same, and
    negative for a rebate; ``slippage`` is that of market orders; ``funding`` is None on spot;
    ``borrow_rate`` is what a short on spot pays a day, None for nothing.
    """

    fee_rate: float = 0.001
    slippage: float = 0.0005
    maker_fee: float | None = None
    funding: Funding | None = None
    borrow_rate: float | None = None

    @property
    def target_fee(self) -> float:
        """Fee of an exit at the target."""
        return self.fee_rate if self.maker_fee is None else self.maker_fee

    def borrow(self, step_ms: int) -> float:
        """Return what a short pays for each bar in which it is open (exits rules §6.4).

        0 where nothing is charged: who has funding trades a contract, and borrows nothing.
        """
        if self.borrow_rate is None or self.funding is not None:
            return 0.0
        return self.borrow_rate * step_ms / DAY_MS


@dataclass(frozen=True)
class RiskLimits:
    """Position size, direction and circuit breakers that a backtest can honour (fills rules §9).

    ``position_fraction`` of equity a trade; ``max_daily_loss`` a positive fraction or None;
    ``consecutive_losses_limit`` and ``max_holding_bars`` counts >= 1 or None; ``leverage`` >= 1, a
    multiple of the margin, or None, which liquidates nothing; ``maintenance_rate`` below
    ``1 / leverage``, the share of a position's value at which it is liquidated (exits rules §8).
    """

    position_fraction: float = 1.0
    max_daily_loss: float | None = 0.02
    consecutive_losses_limit: int | None = 5
    max_holding_bars: int | None = None
    direction: Direction = "both"
    leverage: float | None = None
    maintenance_rate: float = 0.005

    @property
    def exposure(self) -> float:
        """Notional of a trade as a share of the equity (exits rules §8.1)."""
        return self.position_fraction * (1.0 if self.leverage is None else self.leverage)

    def bankruptcy(self, side: int) -> float:
        """Return the price at which the margin is gone, as a multiple of the entry; NaN for never.

        See exits rules §8.4.
        """
        return math.nan if self.leverage is None else 1.0 - side / self.leverage

    def liquidation(self, side: int) -> float:
        """Return the level at which a position is liquidated, as a multiple of the entry.

        Infinity on the side of the losses for never (exits rules §8.2).
        """
        if self.leverage is None:
            return -side * math.inf
        return self.bankruptcy(side) / (1.0 - side * self.maintenance_rate)

    def check(self) -> None:
        """Refuse a leverage that is none, or that is liquidated at once (exits rules §8.2).

        Raises
        ------
        ValueError
            The message says what is allowed and what was given.
        """
        if not 0.0 <= self.maintenance_rate < 1.0:
            raise ValueError(
                f"maintenance_rate must be at least 0 and below 1; got {self.maintenance_rate}"
            )
        if self.leverage is None:
            return
        if not 1.0 <= self.leverage < math.inf:
            raise ValueError(f"leverage must be None or at least 1; got {self.leverage}")
        if not 1.0 / self.leverage > self.maintenance_rate:
            raise ValueError(
                f"leverage {self.leverage} leaves a margin of {1.0 / self.leverage}, which must be"
                f" above maintenance_rate; got {self.maintenance_rate}"
            )


@dataclass(frozen=True)
class Window:
    """Bars ``[start, end)`` of a market (fills rules §8); 0 <= start < end <= n."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Combinations to evaluate: ``U`` units with ``exits_per_unit`` exit settings each.

    Results come in unit-major order: combination ``u * exits_per_unit + x`` takes exit setting
    ``first_exit[u] + x``. A grid shares one unit among all its exits; single points have one each.

    Attributes
    ----------
    table : int32 array of shape (U,)
        Index of the unit's event table.
    thresholds : float64 array of shape (U, K)
        Compared with the features: >= or <= as `Tables.senses` says. ±inf switches one off.
    first_exit : int32 array of shape (U,)
    exits_per_unit : int
    """

    table: Int32
    thresholds: Float
    first_exit: Int32
    exits_per_unit: int

    def __len__(self) -> int:
        return len(self.table) * self.exits_per_unit


@dataclass(frozen=True, eq=False)
class Tables:
    """All event tables of one market under one strategy, and how their features are compared.

    ``senses`` holds one sign a threshold parameter: +1 passes ``feature >= threshold``,
    -1 passes ``feature <= threshold``.
    """

    tables: tuple[EventTable, ...]
    senses: tuple[int, ...]
