"""Draw candles of a second market without an edge: GARCH(1,1) with Student t innovations.

It shares nothing with the clock of `pipeline.market_data.synthetic` but the Brownian path inside a
bar: volatility answers to the moves themselves (Bollerslev 1987, "A conditionally heteroskedastic
time series model for speculative prices and rates of return", Review of Economics and Statistics
69, 542-547), and nothing happens at old lows and highs. A search that finds an edge in one of
the two is fooled by more than the habits of a generator.

Given its variance a bar is Brownian motion, and the variance of the next bar knows a move's size
alone: given everything up to a close the expected simple return to come is zero, for a long and a
short, to whatever stop, target or close it is held, before costs.
"""

from itertools import accumulate
from math import sqrt

import numpy as np

from gpu_engine import DAY_MS, Float, Int64
from pipeline.market_data import synthetic
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.timeframe import timeframe_ms

# h[t+1] = 1 - NEWS - MEMORY + (NEWS z[t]^2 + MEMORY) h[t], in units of the typical variance.
NEWS, MEMORY = 0.04, 0.955
TAIL_DOF = 6  # degrees of freedom of z, a Student t of unit variance

SEASON_SD, PEAK_MS = 0.3, 14 * synthetic.HOUR_MS  # of the log of the deviation through the day
SEASON_DIGITS = 9  # of its factor: the last bit of an `exp`, in which processors differ, goes

# Volume is range to a power below 1, times a log-normal with memory and one without.
VOLUME_POWER = 0.8
VOLUME_SLOW_SD, VOLUME_SLOW_MS = 0.4, DAY_MS / 4
VOLUME_FAST_SD = 0.4


def garch_candles(
    days: int,
    timeframe: str,
    seed: int,
    annual_volatility: float = 0.6,
    first_ms: int = synthetic.FIRST_MS,
) -> RawCandles:
    """Draw candles as `synthetic_candles` does, of the other market: arguments and errors are its.

    Returns
    -------
    RawCandles
        ``days`` days of candles, oldest first, less what a few outages a year left unrecorded.
        Prices are whole ticks, at least one.
    """
    step = timeframe_ms(timeframe)
    synthetic.check_arguments(days, seed, annual_volatility)
    rng = np.random.default_rng(seed)
    timestamp = first_ms + step * np.arange(days * DAY_MS // step, dtype=np.int64)
    typical_sd = annual_volatility * sqrt(step / synthetic.YEAR_MS)

    deviation, innovation = _variances(timestamp, rng)
    sd = np.minimum(typical_sd * deviation, synthetic.LARGEST_SD)
    prices = _path(sd, innovation, rng)
    open_, high, low, close = np.maximum(np.round(prices * synthetic.TICKS), 1) / synthetic.TICKS
    # The last bit of a product must not put an extreme a tick inside open and close.
    high = np.maximum(high, np.maximum(open_, close))
    low = np.minimum(low, np.minimum(open_, close))
    spread = (prices[1] - prices[2]) / (prices[0] * typical_sd)
    volume = _volume(spread, step, rng)

    recorded = ~synthetic.outages(len(timestamp), step, rng)
    return RawCandles(timestamp, open_, high, low, close, volume).take(recorded)


def _variances(timestamp: Int64, rng: np.random.Generator) -> tuple[Float, Float]:
    """Draw the deviation of each bar and its standard normal, both of shape (n,).

    A Student t is a normal times the root of an inverse gamma: the latter goes into the deviation,
    so that the path of the bar is Brownian. The recursion takes the product of both.
    """
    n = len(timestamp)
    normal = rng.standard_normal(n)
    mixing = (TAIL_DOF - 2) / rng.chisquare(TAIL_DOF, n)
    weights = (NEWS * mixing * normal**2 + MEMORY).tolist()
    rest = 1 - NEWS - MEMORY
    variance = np.array(list(accumulate(weights[:-1], lambda h, w: rest + w * h, initial=1.0)))
    wave = np.cos(2 * np.pi * (timestamp - PEAK_MS) / DAY_MS)
    season = np.round(np.exp(SEASON_SD * sqrt(2) * wave - SEASON_SD**2), SEASON_DIGITS)
    return season * np.sqrt(mixing * variance), normal


def _path(sd: Float, normal: Float, rng: np.random.Generator) -> Float:
    """Open, high, low and close of every bar, shape (4, n), before they are rounded to ticks.

    The maximum of a Brownian bridge of variance v from 0 to b exceeds x with probability
    exp(-2 x (x - b) / v) (Karatzas & Shreve 1991, eq. 4.3.40); solved for x.
    """
    n = len(sd)
    gap = 1 + synthetic.OPEN_SD * rng.standard_normal(n)
    move = sd * normal  # a fraction of the open
    close = synthetic.FIRST_PRICE * np.cumprod(gap * (1 + move))
    open_ = close / (1 + move)
    stretch = 2 * sd**2 * rng.exponential(size=(2, n))
    up, down = (np.sqrt(move**2 + stretch) * [[1], [-1]] + move) / 2
    return np.stack((open_, open_ * (1 + up), open_ * (1 + down), close))


def _volume(spread: Float, step: int, rng: np.random.Generator) -> Float:
    """Volume of each bar from its range in typical deviations."""
    n = len(spread)
    log_noise = VOLUME_SLOW_SD * synthetic.ar1(n, VOLUME_SLOW_MS / step, rng)
    log_noise += VOLUME_FAST_SD * rng.standard_normal(n)
    volume = (
        synthetic.VOLUME_AN_HOUR
        * step
        / synthetic.HOUR_MS
        * spread**VOLUME_POWER
        * np.exp(log_noise)
    )
    return np.round(volume, 5)
