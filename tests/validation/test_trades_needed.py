"""The trades that MATURE asks for (validation rules §6.10)."""

import numpy as np
import pytest

from pipeline.validation.out_of_sample import trades_needed

MINUTE = 60_000


def record(mean, n=400):
    """Trades of two values, as many of each: skew 0, kurtosis 1, so the variance of SR is 1."""
    return mean + np.tile([-1.0, 1.0], n // 2)


def test_short_candles_give_a_hundred_trades_in_a_year():
    assert trades_needed(record(5.0), 5 * MINUTE) == 101


@pytest.mark.parametrize(
    ("ratio", "needed"),
    [
        (0.2, 69),  # 1 + (1.645 / 0.2)^2 = 68.6
        (0.17, 95),  # 1 + (1.645 / 0.17)^2 = 94.6
        (0.16, 101),  # 106.7, and not above 101
        (1.0, 50),  # 3.7, and not below 50
        (-0.2, 101),  # no number of losing trades is enough
    ],
)
def test_long_candles_need_the_length_of_the_record(ratio, needed):
    assert trades_needed(record(ratio), 15 * MINUTE) == needed


def test_without_trades_or_variance_it_is_a_hundred_and_one():
    assert trades_needed(np.zeros(0), 60 * MINUTE) == 101
    assert trades_needed(np.ones(80), 60 * MINUTE) == 101
