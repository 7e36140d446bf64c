"""Rearrange real candles so that no edge is left: what a search finds in them is luck.

Candles are taken apart into log differences within each bar (the last close to the open, and the
open to high, low and close) and its volume; these are rearranged, and prices are rebuilt from the
first open (validation rules §5.3). ``permuted`` destroys what follows on what and keeps the
distribution of bars; ``sign_flipped`` and ``bar_flipped`` keep volume, range and volatility where
they were and destroy the direction, of each day or of each bar.
"""

from collections.abc import Callable, Mapping

import numpy as np

from gpu_engine import Bool, Candles, Float, Int64


def permuted(candles: Candles, rng: np.random.Generator) -> Candles:
    """Draw candles of the same bars in random order; bar 0 stays first (validation rules §5.3).

    Everything of a bar travels with it: its gap to the close before it, its shape, its volume,
    and whether it was filled. Sums do not depend on their order, so the last close stays as well,
    to rounding.

    Parameters
    ----------
    candles : Candles
        At least one bar; the result has the same times and step.
    rng : numpy.random.Generator
        The same state gives the same candles.
    """
    order = np.concatenate(([0], 1 + rng.permutation(len(candles) - 1)))
    # Rows by `take`: ten times as fast as by index.
    return _rebuilt(candles, _log_differences(candles).take(order, axis=0), order)


def sign_flipped(candles: Candles, rng: np.random.Generator) -> Candles:
    """Draw candles in which each UTC day is mirrored or not, by a coin (validation rules §5.5).

    All bars of a mirrored day change sign, the gap into each bar included, and swap their extremes:
    the new open-to-high is minus the old open-to-low. Volumes, filled bars and the size of every
    move stay where they were. The order within a day stays too, upside down: a strategy that trades
    both sides alike keeps its edge. `bar_flipped` destroys that edge as well.

    Parameters
    ----------
    candles : Candles
        At least one bar; the result has the same times and step.
    rng : numpy.random.Generator
        The same state gives the same candles.
    """
    day = candles.day - candles.day[0]
    return _mirrored(candles, _coins(int(day[-1]) + 1, rng)[day])


def bar_flipped(candles: Candles, rng: np.random.Generator) -> Candles:
    """Draw candles in which each bar is mirrored or not, by a coin (validation rules §5.3).

    As `sign_flipped`, bar by bar: what follows on what is destroyed within the day as well, volumes
    and the size of every move stay where they were.
    """
    return _mirrored(candles, _coins(len(candles), rng))


def _coins(count: int, rng: np.random.Generator) -> Bool:
    return rng.integers(2, size=count).astype(np.bool_)


def _mirrored(candles: Candles, bars: Bool) -> Candles:
    """Mirror the bars that ``bars`` marks, bool of shape (n,)."""
    upright = _log_differences(candles)
    gap, high, low, close = upright.T
    mirror = np.column_stack((-gap, -low, -high, -close))
    return _rebuilt(candles, np.where(bars[:, None], mirror, upright), np.arange(len(candles)))


def _log_differences(candles: Candles) -> Float:
    """Return logs of open / last close, high / open, low / open, close / open; shape (n, 4).

    Nothing came before bar 0: its first difference is 0. A filled bar is one price, the close
    before it (candles rules §1), so all four of its differences are 0 exactly.
    """
    before = np.concatenate((candles.open[:1], candles.close[:-1]))
    return np.log(
        np.column_stack(
            (
                candles.open / before,
                candles.high / candles.open,
                candles.low / candles.open,
                candles.close / candles.open,
            )
        )
    )


def _rebuilt(candles: Candles, differences: Float, source: Int64) -> Candles:
    """Rebuild prices from the first open and ``differences``; take the rest from ``source`` bars.

    Open and close are one running sum, so that a bar without differences is exactly the close
    before it.
    """
    gap, to_high, to_low, to_close = differences.T
    path = np.cumsum(np.column_stack((gap, to_close)).ravel()).reshape(-1, 2)
    first = candles.open[0]
    open_, close = (first * np.exp(path)).T.copy()
    high, low = first * np.exp(path[:, 0] + to_high), first * np.exp(path[:, 0] + to_low)
    return Candles(
        candles.timestamp,
        open_,
        # The exponential rounds: what enclosed open and close must not end a last bit short.
        np.maximum(high, np.maximum(open_, close)),
        np.minimum(low, np.minimum(open_, close)),
        close,
        candles.volume[source],
        candles.filled[source],
        candles.step_ms,
    )


#: By the names that configurations and reports use.
SURROGATES: Mapping[str, Callable[[Candles, np.random.Generator], Candles]] = {
    "permuted": permuted,
    "sign_flipped": sign_flipped,
    "bar_flipped": bar_flipped,
}
