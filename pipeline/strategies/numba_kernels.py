"""Compiled kernels of the event tables, which `compiled.kernels` gives where they run.

Each makes the additions and comparisons of its NumPy counterpart in the same order, so the two
agree to the last bit. Fast-math is off, nothing contracts to FMA, and the interpreter's lock is
free meanwhile.
"""

import math

from gpu_engine.numba_cache import kernel


@kernel(nogil=True)
def wilder(ranges, first, atr):
    """Fill ``atr`` after bar ``first``, as `indicators._wilder`."""
    for t in range(first + 1, len(ranges)):
        atr[t] = (13.0 * atr[t - 1] + ranges[t]) / 14.0


@kernel(nogil=True)
def sums_before(values, bar, length, sums):
    """Fill ``sums``, as `indicators.sums_before`."""
    for row in range(len(bar)):
        total = 0.0
        for t in range(bar[row] - length, bar[row]):
            total += values[t]
        sums[row] = total


@kernel(nogil=True)
def pierced(points, start, after, low, before, width, rows, levels, touches):
    """Fill ``rows``, ``levels`` and ``touches`` as `sweeps.pierced`; return how many there are."""
    count = 0
    for row in range(len(start)):
        level, k = math.inf, after[row] - 1
        while k >= start[row] and points[k] > low[row]:
            level = min(level, points[k])
            k -= 1
        if k >= start[row] or not level < before[row]:
            continue
        near = 0
        for k in range(start[row], after[row]):
            near += abs(points[k] - level) <= width[row]
        rows[count], levels[count], touches[count] = row, level, near
        count += 1
    return count
