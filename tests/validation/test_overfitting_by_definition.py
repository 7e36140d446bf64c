"""The cross-validation as it is defined, split by split, against the matrix products."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from pipeline.validation.overfitting import BlockSums


def by_definition(returns, n_blocks):
    """Chosen column, IS Sharpe, OOS Sharpe and logit of every split that counts."""
    n_days = len(returns)
    block = np.searchsorted(np.arange(1, n_blocks) * n_days // n_blocks, np.arange(n_days), "right")
    found = []
    for half in combinations(range(n_blocks), n_blocks // 2):
        inside = np.isin(block, half)
        own, other = sharpe(returns[inside]), sharpe(returns[~inside])
        ranked = np.count_nonzero(~np.isnan(other))
        if np.isnan(own).all() or ranked < 2:
            continue
        chosen = np.nanargmax(own)
        if np.isnan(other[chosen]):
            continue
        share = rankdata(other, nan_policy="omit")[chosen] / (ranked + 1)
        found.append((chosen, own[chosen], other[chosen], np.log(share / (1 - share))))
    return np.array(found).reshape(-1, 4).T


def sharpe(returns):
    """Rounded, because equal ratios of different days must be equal; NaN without variance."""
    flat = np.ptp(returns, axis=0) == 0.0
    deviation = np.where(flat, np.nan, returns.std(axis=0, ddof=min(1, len(returns) - 1)))
    return (returns.mean(axis=0) / deviation).round(10)


@given(
    st.integers(0, 100_000).map(np.random.default_rng),
    st.integers(6, 24),
    st.integers(2, 7),
    st.sampled_from([2, 4, 6]),
    st.integers(1, 4),
)
@settings(max_examples=150)
def test_equal_to_the_definition(rng, n_days, n_columns, n_blocks, largest):
    """Small whole numbers: ties and halves without variance abound."""
    returns = rng.integers(-largest, largest + 1, (n_days, n_columns)) / 100
    sums = BlockSums(n_days, n_blocks)
    sums.add(returns.T)
    found = sums.splits()
    chosen, in_sample, out_of_sample, logit = by_definition(returns, n_blocks)
    np.testing.assert_array_equal(found.chosen, chosen)
    np.testing.assert_allclose(found.in_sample, in_sample, atol=1e-9)
    np.testing.assert_allclose(found.out_of_sample, out_of_sample, atol=1e-9)
    np.testing.assert_allclose(found.logit, logit, atol=1e-12)
