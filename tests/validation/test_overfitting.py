"""Combinatorially symmetric cross-validation: published cases, ties, gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.validation import overfitting
from pipeline.validation.overfitting import (
    BlockSums,
    Overfitting,
    probability_of_backtest_overfitting,
)


def noise(seed, days=120, columns=12):
    return np.random.default_rng(seed).standard_normal((days, columns)) * 0.02


def block_sums(returns, n_blocks=10):
    sums = BlockSums(len(returns), n_blocks)
    sums.add(returns.T)
    return sums


NOISE = st.integers(0, 10_000).map(noise)


@pytest.mark.parametrize(
    ("n_blocks", "n_splits", "pbo", "slope", "mean_logit"),
    [
        (6, 20, 0.3, 0.412161, 1.024577),
        (8, 70, 13 / 70, 0.200047, 1.339334),
        (10, 252, 69 / 252, 0.049384, 1.007393),
    ],
)
def test_reference(n_blocks, n_splits, pbo, slope, mean_logit):
    """Figures of the guide. Two of them end one off: the definition in
    test_overfitting_by_definition.py gives 1.0245764 for S = 6 and 0.0493826 for S = 10."""
    returns = noise(0, 360, 50)
    found = probability_of_backtest_overfitting(returns, n_blocks)
    assert found.n_splits == n_splits
    assert found.pbo == pytest.approx(pbo, rel=1e-12)
    assert found.slope == pytest.approx(slope, abs=1.5e-6)
    logit = block_sums(returns, n_blocks).splits().logit
    assert logit.mean() == pytest.approx(mean_logit, abs=1.5e-6)


def test_reference_share_of_losses():
    found = probability_of_backtest_overfitting(noise(0, 360, 50))
    assert found.p_oos_loss == pytest.approx(0.253968, abs=5e-7)


def test_what_is_gained_in_sample_is_lost_out_of_sample():
    """Without a mean over all days the best half is the complement of the worst."""
    returns = noise(1)
    found = probability_of_backtest_overfitting(returns - returns.mean(axis=0))
    assert (found.pbo, found.p_oos_loss) == (1.0, 1.0)


def test_a_column_that_dominates_is_never_overfitted():
    returns = noise(1)
    returns[:, 5] += 0.1
    found = probability_of_backtest_overfitting(returns)
    assert (found.pbo, found.p_oos_loss, found.n_splits) == (0.0, 0.0, 252)


def test_equal_columns_share_the_middle_rank():
    """Ten copies: 1 or 0 where ties count as lower or as higher."""
    copies = np.repeat(noise(2, columns=1), 10, axis=1)
    assert block_sums(copies).result().pbo == 0.5


@given(NOISE, st.integers(1, 20))
def test_copies_of_a_combination_change_nothing(returns, copies):
    copied = np.hstack([returns, np.repeat(returns[:, 3:4], copies, axis=1)])
    expected = probability_of_backtest_overfitting(returns)
    assert probability_of_backtest_overfitting(copied) == expected


def test_hopeless_columns_lower_the_probability_but_not_the_share_of_losses():
    returns = noise(18, 360, 25)
    hopeless = noise(1018, 360, 25) - 0.05
    before = probability_of_backtest_overfitting(returns)
    after = probability_of_backtest_overfitting(np.hstack([returns, hopeless]))
    assert before.pbo == pytest.approx(0.7619, abs=5e-5)
    assert after.pbo == 0.0
    assert after.p_oos_loss == before.p_oos_loss == pytest.approx(0.8135, abs=5e-5)


def test_pure_noise_is_overfitted_half_of_the_time():
    found = [probability_of_backtest_overfitting(noise(seed, 360, 40)).pbo for seed in range(200)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
    assert np.std(found) == pytest.approx(0.185, abs=0.03)


@given(NOISE, st.randoms(use_true_random=False))
def test_the_order_of_the_columns_does_not_matter(returns, random):
    order = random.sample(range(12), 12)
    assert probability_of_backtest_overfitting(returns[:, order]) == pytest.approx(
        probability_of_backtest_overfitting(returns), rel=1e-12
    )


@given(NOISE, st.lists(st.floats(1e-3, 1e3), min_size=12, max_size=12))
def test_the_size_of_the_bets_does_not_matter(returns, sizes):
    assert probability_of_backtest_overfitting(returns * sizes) == pytest.approx(
        probability_of_backtest_overfitting(returns), rel=1e-9
    )


def test_the_order_of_the_blocks_does_not_matter():
    returns = noise(4)
    blocks = returns.reshape(10, 12, 12)[::-1].reshape(120, 12)
    assert probability_of_backtest_overfitting(blocks) == pytest.approx(
        probability_of_backtest_overfitting(returns), rel=1e-9
    )


@given(NOISE, st.integers(1, 12), st.integers(1, 12))
def test_parts_of_any_size(returns, one, other):
    sums = BlockSums(120, 10)
    for part in np.split(returns.T, sorted((one, other))):
        sums.add(part)
    assert sums.result() == block_sums(returns).result()


def test_columns_worked_on_at_once_change_nothing(monkeypatch):
    returns = noise(5, 365, 300)
    expected = block_sums(returns).splits()
    monkeypatch.setattr(overfitting, "CELLS", 1)
    found = block_sums(returns).splits()
    np.testing.assert_array_equal(found.chosen, expected.chosen)
    np.testing.assert_array_equal(found.logit, expected.logit)
    np.testing.assert_allclose(found.in_sample, expected.in_sample, rtol=1e-12)


def test_float32_returns():
    returns = noise(6, 365, 300).astype(np.float32)
    wide = returns.astype(np.float64)
    assert probability_of_backtest_overfitting(returns) == (
        probability_of_backtest_overfitting(wide)
    )


def test_sharpe_ratios_of_the_choice_are_per_observation():
    """Eleven days in two blocks of five and six: what is one half's IS is the other's OOS."""
    returns = noise(7, 11, 2)
    returns[:, 1] -= 1.0  # column 0 is chosen
    sharpe = [half.mean() / half.std(ddof=1) for half in (returns[:5, 0], returns[5:, 0])]
    found = block_sums(returns, 2).splits()
    np.testing.assert_array_equal(found.chosen, [0, 0])
    np.testing.assert_allclose(found.in_sample, sharpe, rtol=1e-9)
    np.testing.assert_allclose(found.out_of_sample, sharpe[::-1], rtol=1e-9)


def test_a_column_that_does_not_trade_is_not_there():
    returns = noise(8)
    with_idle = np.insert(returns, [0, 4], [0.0, 0.01], axis=1)
    assert probability_of_backtest_overfitting(with_idle) == pytest.approx(
        probability_of_backtest_overfitting(returns), rel=1e-12
    )


def test_a_split_whose_choice_never_trades_out_of_sample_does_not_count():
    returns = noise(9, 40, 3)
    returns[:, 0] = 0.0
    returns[:20, 0] = 0.1 + returns[:20, 1]  # the best where it trades, the first two of 4 blocks
    found = block_sums(returns, 4).splits()
    # Of the six splits, the one that has both trading blocks in sample is gone.
    assert len(found.chosen) == 5


UNDEFINED = Overfitting(None, None, None, 0)


@pytest.mark.parametrize(
    "returns",
    [
        np.empty((100, 0)),
        noise(0, 100, 1),
        noise(0, 100, 2) * [0.0, 1.0],
        np.zeros((100, 5)),
        noise(0, 9, 5),
    ],
    ids=["no column", "one column", "one that trades", "none that trades", "too few days"],
)
def test_nothing_to_compare(returns):
    assert probability_of_backtest_overfitting(returns) == UNDEFINED


def test_copies_of_one_combination_are_nothing_to_compare():
    copies = np.repeat(noise(2, columns=1), 10, axis=1)
    assert probability_of_backtest_overfitting(copies) == UNDEFINED


def test_no_slope_without_two_different_sharpe_ratios():
    half = noise(3, 20, 4)
    found = probability_of_backtest_overfitting(np.vstack([half, half]), 2)
    assert found == (0.0, 0.0, None, 2)


@pytest.mark.parametrize("n_blocks", [0, 1, 7, -2])
def test_blocks_come_in_two_halves(n_blocks):
    with pytest.raises(ValueError, match=f"even and at least 2, not {n_blocks}"):
        BlockSums(100, n_blocks)
