"""Draw candles without an edge: a seeded martingale with the habits of a crypto market.

Inside a bar the price is Brownian motion and only its clock runs unevenly: a slow and a fast
log-AR(1) (volatility clusters), the hour of the day, and one inverse-gamma draw a bar (which makes
returns Student t). No clock knows the sign of a move to come. So, given everything up to a close,
the expected simple return from the next open on is zero, for a long and a short, to whatever stop,
target or close it is held, before costs.

Old swing lows and highs matter as a stop hunter has it: in a bar that trades through one, the stops
resting there go off, volume jumps and the rest of the bar runs wider. Whether the level then breaks
or is rejected (a liquidity sweep, liquidity_sweep rules §4, §5) is again an even toss.
Sweeps are thus as common as in a market, and foretell nothing.
"""

from collections import deque
from itertools import accumulate
from math import ceil, inf, sqrt

import numpy as np

from gpu_engine import DAY_MS, Bool, Float, Int64
from pipeline.errors import UserError
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.timeframe import timeframe_ms

HOUR_MS = 3_600_000
YEAR_MS = 365 * DAY_MS
FIRST_MS = 1_672_531_200_000  # 2023-01-01T00:00Z

FIRST_PRICE = 30_000
TICKS = 100  # to one unit of the quote currency
OPEN_SD = 2e-5  # of an open around the close before it

# Log of a bar's standard deviation: two log-AR(1) (deviation, memory) and a wave through the day.
SLOW_SD, SLOW_MS = 0.45, 10 * DAY_MS
FAST_SD, FAST_MS = 0.45, HOUR_MS
DAILY_SD, PEAK_MS = 0.25, 15 * HOUR_MS
TAIL_DOF = 6  # degrees of freedom of the Student t
LARGEST_SD = 0.1  # no bar is wilder than this: prices stay positive

# Volume is the bar's range times a log-normal with memory and one without.
VOLUME_AN_HOUR = 1_500  # base currency
VOLUME_SLOW_SD, VOLUME_SLOW_MS = 0.35, DAY_MS
VOLUME_FAST_SD = 0.35

# Where stops rest, and what a run on them does.
LEVEL_LOOKBACK = 100  # bars
SWING = 3  # bars on either side of a swing point (candles rules §2.3)
RUN_SD = 1.25  # times the deviation of what is left of the bar
RUN_VOLUME = 0.8  # extra volume, exponential with this mean, in units of the bar's own

#: Added and taken away again it rounds a float below 2⁵¹ to a whole number, a half to even.
_WHOLE = 1.5 * 2.0**52

OUTAGES_A_YEAR = 4
OUTAGE_MS = HOUR_MS  # mean length


def synthetic_candles(
    days: int, timeframe: str, seed: int, annual_volatility: float = 0.6, first_ms: int = FIRST_MS
) -> RawCandles:
    """Draw candles of a market in which nothing can be won.

    `docs/quality.md` compares their figures with those of real candles.

    The same arguments give the same candles on every machine that has the same NumPy: prices are
    walked in whole ticks, so the last bit of an `exp`, in which processors differ, cannot add up.

    Parameters
    ----------
    days : int
        Length of the history, >= 1.
    timeframe : str
        Length of a candle, such as ``5m``.
    seed : int
        >= 0.
    annual_volatility : float
        Standard deviation of a year's return, a fraction: 0.6 is 60 %.
    first_ms : int
        Open time of the first bar, a multiple of the timeframe; milliseconds since the epoch, UTC.

    Returns
    -------
    RawCandles
        ``days`` days of candles, oldest first, less what a few outages a year left unrecorded.

    Raises
    ------
    UserError
        If an argument is outside its range, or the walk so wild and long that prices could come
        down to their tick.
    """
    step = timeframe_ms(timeframe)
    check_arguments(days, seed, annual_volatility)
    rng = np.random.default_rng(seed)
    timestamp = first_ms + step * np.arange(days * DAY_MS // step, dtype=np.int64)
    typical_sd = annual_volatility * sqrt(step / YEAR_MS)

    deviation = typical_sd * _clock(timestamp, step, rng)
    ticks, stops_ran = _walk(np.minimum(deviation, LARGEST_SD), rng)
    open_, high, low, close = (ticks / TICKS).T
    spread = (high - low) / (open_ * typical_sd)
    volume = _volume(spread, stops_ran, step, rng)

    recorded = ~outages(len(timestamp), step, rng)
    return RawCandles(timestamp, open_, high, low, close, volume).take(recorded)


def check_arguments(days: int, seed: int, annual_volatility: float) -> None:
    """Refuse what would give no candles, or prices near their tick."""
    if days < 1 or seed < 0:
        raise UserError(
            f"Synthetic candles need days >= 1 and seed >= 0, not days={days}, seed={seed}."
        )
    variance = annual_volatility**2 * days * DAY_MS / YEAR_MS
    if not (annual_volatility > 0 and variance <= 4):
        raise UserError(
            "Synthetic candles need annual_volatility > 0 and annual_volatility² · years <= 4, so "
            f"that prices stay far above their tick, not annual_volatility={annual_volatility} "
            f"over {days} days: lower the volatility or ask for fewer days."
        )


def ar1(n: int, memory: float, rng: np.random.Generator) -> Float:
    """Stationary AR(1) of unit variance whose correlation falls by e in ``memory`` bars."""
    phi = np.exp(-1 / memory)
    shocks = rng.standard_normal(n)
    shocks[1:] *= np.sqrt(1 - phi**2)
    return np.array(list(accumulate(shocks.tolist(), lambda state, shock: phi * state + shock)))


def _clock(timestamp: Int64, step: int, rng: np.random.Generator) -> Float:
    """Draw the standard deviation of each bar, scaled to a mean square of 1 over the history.

    The scale looks ahead, and may: it is the same for both signs of every move.
    """
    n = len(timestamp)
    log_sd = SLOW_SD * ar1(n, SLOW_MS / step, rng) + FAST_SD * ar1(n, FAST_MS / step, rng)
    log_sd += DAILY_SD * sqrt(2) * np.cos(2 * np.pi * (timestamp - PEAK_MS) / DAY_MS)
    sd = np.exp(log_sd) / np.sqrt(rng.chisquare(TAIL_DOF, n))
    scaled: Float = sd / np.sqrt(np.mean(sd**2))
    return scaled


class _Level:
    """The lowest swing low of the last `LEVEL_LOOKBACK` bars (candles rules §2.3), bar by bar.

    Attributes
    ----------
    lowest : float
        That of the bars up to the last one taken; -inf without any.
    """

    def __init__(self) -> None:
        self.lowest, self._until = -inf, inf
        self._swings: deque[tuple[int, float]] = deque()  # (last bar in range, low), lows rising

    def update(self, bar: int, lows: list[float]) -> None:
        """Take the lows up to that of ``bar``, which closed: the last one is new."""
        low = lows[bar - SWING] if bar >= 2 * SWING else inf
        # Half of them go no further than the first comparison.
        if low < lows[-1] and low < min(lows[-SWING:] + lows[-2 * SWING - 1 : -SWING - 1]):
            swings = self._swings
            while swings and swings[-1][1] >= low:
                swings.pop()
            swings.append((bar - SWING + LEVEL_LOOKBACK, low))
        elif bar < self._until:
            return
        if self._swings and self._swings[0][0] <= bar:
            self._swings.popleft()
        self._until, self.lowest = self._swings[0] if self._swings else (inf, -inf)


def _walk(deviation: Float, rng: np.random.Generator) -> tuple[Float, Bool]:
    """Walk the price through the bars in whole ticks, every bar in two Brownian halves.

    Rounding is odd and the draws are symmetric, so a tick costs neither side anything. Ticks are
    whole numbers in floats, which is twice as quick as integers beside floats.

    Returns
    -------
    ticks : float array of shape (n, 4)
        Open, high, low, close.
    stops_ran : bool array of shape (n,)
        True where the bar traded through an old swing low or high.
    """
    n = len(deviation)
    halves = (deviation / sqrt(2)).tolist()
    moves = rng.standard_normal((n, 3)).T.tolist()
    stretches = rng.exponential(size=(n, 4)).T.tolist()
    below, above = _Level(), _Level()  # above: of the highs, with their signs turned
    opens, closes, lows, turned_highs, stops_ran = [], [], [], [], []
    close = float(FIRST_PRICE * TICKS)
    draws = zip(halves, *moves, *stretches, strict=True)
    for bar, (half, gap, first, second, down, up, later_down, later_up) in enumerate(draws):
        support, resistance = below.lowest, -above.lowest
        open_ = close + (close * OPEN_SD * gap + _WHOLE - _WHOLE)
        sd = open_ * half
        middle = open_ + (sd * first + _WHOLE - _WHOLE)
        low, high = _extremes(open_, middle, sd, down, up)
        if low < support < open_ or high > resistance > open_:
            sd *= RUN_SD
        close = middle + (sd * second + _WHOLE - _WHOLE)
        later_low, later_high = _extremes(middle, close, sd, later_down, later_up)
        low = low if low < later_low else later_low
        high = high if high > later_high else later_high
        opens.append(open_)
        closes.append(close)
        lows.append(low)
        turned_highs.append(-high)
        stops_ran.append(low < support < open_ or high > resistance > open_)
        below.update(bar, lows)
        above.update(bar, turned_highs)
    ticks = np.array([opens, turned_highs, lows, closes])
    ticks[1] *= -1.0
    return ticks.T, np.array(stops_ran)


def _extremes(start: float, end: float, sd: float, down: float, up: float) -> tuple[float, float]:
    """Draw low and high of a Brownian bridge, from two unit exponentials.

    The maximum of a bridge of variance v from a to b exceeds x with probability
    exp(−2(x − a)(x − b)/v) (Karatzas & Shreve 1991, eq. 4.3.40); solved for x.
    """
    move, variance, both = (end - start) * (end - start), 2 * sd * sd, start + end
    low = (both - sqrt(move + variance * down)) / 2
    high = (both + sqrt(move + variance * up)) / 2
    return low + _WHOLE - _WHOLE, high + _WHOLE - _WHOLE


def _volume(spread: Float, stops_ran: Bool, step: int, rng: np.random.Generator) -> Float:
    """Volume of each bar from its range in typical deviations; runs on stops add to it."""
    n = len(spread)
    log_noise = VOLUME_SLOW_SD * ar1(n, VOLUME_SLOW_MS / step, rng)
    log_noise += VOLUME_FAST_SD * rng.standard_normal(n)
    run = 1 + stops_ran * rng.exponential(RUN_VOLUME, n)
    volume = VOLUME_AN_HOUR * step / HOUR_MS * spread * np.exp(log_noise) * run
    return np.round(volume, 5)


def outages(n: int, step: int, rng: np.random.Generator) -> Bool:
    """Draw the bars that are missing: `OUTAGES_A_YEAR`, never the first bar or the last."""
    missing = np.zeros(n, dtype=np.bool_)
    for _ in range(round(OUTAGES_A_YEAR * n * step / YEAR_MS)):
        start = rng.integers(1, n - 1)
        length = ceil(rng.exponential(OUTAGE_MS / step))
        missing[start : min(start + length, n - 1)] = True
    return missing
