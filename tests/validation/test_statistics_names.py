"""Everything that validation rules §7 names is where it says, and takes what it says."""

from inspect import signature

import numpy as np
import pytest

from pipeline.validation import statistics


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("probabilistic_sharpe_ratio", "sharpe n skew kurtosis benchmark"),
        ("expected_maximum_sharpe", "n_trials"),
        ("deflated_sharpe_ratio", "sharpe n skew kurtosis n_trials trials_variance"),
        ("minimum_track_record_length", "sharpe skew kurtosis benchmark alpha"),
        ("minimum_backtest_length", "n_trials sharpe_annual"),
        ("probability_of_backtest_overfitting", "returns n_blocks"),
        ("max_sharpe_reality_check", "returns n_resamples mean_block seed"),
    ],
)
def test_a_function_of_section_7(name, parameters):
    assert list(signature(getattr(statistics, name)).parameters) == parameters.split()


def test_results_of_section_7_on_a_column_that_always_earns():
    returns = np.random.default_rng(0).normal(0.0, 0.01, (200, 5))
    returns[:, 2] += 0.02
    overfitting = statistics.probability_of_backtest_overfitting(returns, 10)
    assert (overfitting.pbo, overfitting.p_oos_loss) == (0.0, 0.0)
    assert overfitting.slope < 0.0  # one column's halves: what one has more the other has less
    check = statistics.max_sharpe_reality_check(returns, 99, 3.0, 1)
    assert check.p_value == 1 / 100
    assert check.maxima.shape == (99,)
