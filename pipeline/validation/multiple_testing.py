"""Adjust the p-values of many markets for being many (validation rules §3)."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float

#: Benjamini & Hochberg (1995) and Benjamini & Yekutieli (2001): false discovery rate, for tests
#: that are independent or depend in any way; Holm (1979): family-wise error rate.
Method = Literal["bh", "by", "holm"]


def adjusted(p: Sequence[float | None] | NDArray[np.float64], method: Method) -> Float:
    """Adjust p-values: what is then at most α is a discovery at level α.

    Parameters
    ----------
    p : sequence of shape (M,)
        P-values; None, NaN or infinite where a market has none.
    method : {"bh", "by", "holm"}

    Returns
    -------
    float64 array of shape (M,)
        NaN where ``p`` is undefined; such a market does not count as a test.
    """
    values = np.array(p, dtype=np.float64)  # None becomes NaN
    defined = np.isfinite(values)
    values[~defined] = np.nan
    if defined.any():
        values[defined] = _adjusted(values[defined], method)
    return values


def sweep_q_values(p: Sequence[float | None], unstored: int) -> list[float | None]:
    """Give each market of a sweep its q-value, with every market that was trained as a test.

    Parameters
    ----------
    p : sequence of shape (M,)
        The deciding p-values. An undefined one, None, counts as 1 and has no q.
    unstored : int
        Further markets that stored nothing; each counts as 1 (validation rules §3.2).
    """
    tests = [1.0 if value is None else value for value in p] + [1.0] * unstored
    q_values = adjusted(tests, "bh").tolist()
    return [None if value is None else q for value, q in zip(p, q_values, strict=False)]


def after_searches(p: float | None, earlier: int) -> float | None:
    """Return the p-value of the best of ``earlier`` + 1 searches: ``1 − (1 − p)^(earlier + 1)``.

    Šidák (1967), for independent searches. Searches of the same days depend on each other, so this
    is the most that they can have cost. None where ``p`` is.
    """
    if p is None or math.isnan(p):
        return None
    return -math.expm1((earlier + 1) * math.log1p(-p)) if p < 1.0 else 1.0


def _adjusted(p: Float, method: Method) -> Float:
    if method == "holm":
        return _holm(p)
    # Imported late: it takes long, and a run over one market has nothing to adjust.
    from scipy.stats import false_discovery_control

    discovery_rate: Float = false_discovery_control(p, method=method)
    return discovery_rate


def _holm(p: Float) -> Float:
    """Multiply the k-th smallest p-value by ``M - k + 1``; no later one may fall below it."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
