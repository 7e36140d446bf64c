"""Scores are rounded alike on every backend: by one table of powers of ten, to the last bit."""

import numpy as np
import pytest

from gpu_engine import Axis, Grid, ScoreRule, round_significant, scoring
from gpu_engine.cuda_grid import GridUnits
from support.backends import CUDA, CUDA_ON_HOST
from support.random_market import random_market

EDGES = np.concatenate(
    [scoring.POWERS, np.nextafter(scoring.POWERS, 0), np.nextafter(scoring.POWERS, np.inf)]
)


def values(rng, count):
    """Numbers of every size: what scores are, what they might be, and the edges of decades."""
    usual = 10.0 ** rng.uniform(-13, 10, count)
    bits = rng.integers(0, 2**63, count // 4, dtype=np.int64).view(np.float64)
    special = np.array([0.0, -0.0, np.inf, 5e-324, np.finfo(float).max, np.finfo(float).tiny])
    every = np.concatenate([usual, bits[~np.isnan(bits)], EDGES, special])
    return np.concatenate([every, -every])


def test_the_decade_follows_from_the_exponent():
    for exponent in range(-1074, 1024):
        exact = len(str(2**exponent)) - 1 if exponent >= 0 else -len(str(2**-exponent))
        assert exponent * scoring.LOG10_OF_2 >> scoring.LOG10_SHIFT == exact


def test_the_scale_is_exact_where_scores_are():
    """From 1e-5 to 1e10 nothing changed when the table came: NumPy's powers are exact there."""
    usual = 10.0 ** np.random.default_rng(1).uniform(-5, 10, 1_000_000)
    scale = 10.0 ** (11 - np.floor(np.log10(usual)))
    np.testing.assert_array_equal(round_significant(usual), np.rint(usual * scale) / scale)


def test_any_number_is_rounded_to_the_nearest_of_twelve_digits():
    drawn = np.random.default_rng(2).standard_normal(2_000) * 10.0 ** np.linspace(-290, 290, 2_000)
    for value, rounded in zip(drawn, round_significant(drawn), strict=True):
        assert rounded == pytest.approx(float(f"{value:.11e}"), rel=3e-16)


@pytest.mark.parametrize("backend", [CUDA_ON_HOST, CUDA])
def test_a_device_rounds_to_the_same_bits(backend):
    numbers = values(np.random.default_rng(3), 1_000_000)
    (market,) = random_market(np.random.default_rng(0), 20).load(backend).loaded
    units = GridUnits(market, Grid((Axis("exit", np.zeros(1)),)), range(1))
    metrics = {"net_profit": market.device.put(numbers)}
    metrics["sample_size"] = market.device.zeros(len(numbers), float)
    scores = units.scores_of(market, metrics, len(numbers), ScoreRule("net_profit", 0))
    assert market.device.get(scores).tobytes() == round_significant(numbers).tobytes()
