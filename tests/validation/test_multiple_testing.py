"""Adjusted p-values against published sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.validation.multiple_testing import adjusted, after_searches

METHODS = ("bh", "by", "holm")

#: Benjamini & Hochberg (1995), the fifteen p-values of their example.
FIFTEEN = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459,
    0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip
#: Harvey & Liu (2015), Backtesting: the six strategies of their example.
SIX = [0.005, 0.009, 0.0128, 0.0135, 0.045, 0.06]


@pytest.mark.parametrize(
    ("p", "method", "discoveries"),
    [
        (FIFTEEN, "holm", 3),
        (FIFTEEN, "bh", 4),
        (FIFTEEN, "by", 3),
        (SIX, "holm", 2),
        (SIX, "by", 4),
    ],
)
def test_discoveries_at_five_percent(p, method, discoveries):
    assert np.count_nonzero(adjusted(p, method) <= 0.05) == discoveries


def test_benjamini_hochberg_adjusted():
    expected = [0.0015, 0.003, 0.0095, 0.035625, 0.0603]
    np.testing.assert_allclose(adjusted(FIFTEEN, "bh")[:5], expected, rtol=1e-12)


def test_benjamini_yekutieli_adjusted():
    assert adjusted(FIFTEEN, "by")[0] == pytest.approx(0.004977, abs=5e-7)


def test_price_of_any_dependence_among_200000_tests():
    p = np.full(200_000, 0.01)
    assert adjusted(p, "by")[0] / adjusted(p, "bh")[0] == pytest.approx(12.783291, abs=5e-7)


@pytest.mark.parametrize(
    ("method", "theirs"), [("bh", "fdr_bh"), ("by", "fdr_by"), ("holm", "holm")]
)
def test_it_is_what_statsmodels_says(method, theirs):
    from statsmodels.stats.multitest import multipletests  # a second to import

    rng = np.random.default_rng(7)
    for p in (FIFTEEN, SIX, rng.random(1000), rng.random(200).round(2) ** 3, np.ones(5)):
        expected = multipletests(p, method=theirs)[1]
        np.testing.assert_allclose(adjusted(p, method), expected, rtol=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_a_market_without_a_p_value_is_no_test(method):
    found = adjusted([None, *SIX[:3], float("nan"), *SIX[3:]], method)
    assert np.isnan(found[[0, 4]]).all()
    np.testing.assert_array_equal(np.delete(found, [0, 4]), adjusted(SIX, method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [[], [None, None]], ids=["none", "undefined"])
def test_nothing_to_adjust(p, method):
    np.testing.assert_array_equal(adjusted(p, method), np.full(len(p), np.nan))


@pytest.mark.parametrize("method", METHODS)
def test_one_market_keeps_its_p_value(method):
    assert adjusted([0.03], method) == [0.03]


RNG = st.integers(0, 10_000).map(np.random.default_rng)


@settings(max_examples=30)
@given(RNG, st.integers(1, 30), st.sampled_from(METHODS))
def test_the_order_of_the_markets_does_not_matter(rng, n_markets, method):
    p = rng.random(n_markets).round(2)
    order = rng.permutation(n_markets)
    np.testing.assert_allclose(adjusted(p[order], method), adjusted(p, method)[order])


@settings(max_examples=30)
@given(RNG, st.integers(1, 30), st.sampled_from(METHODS))
def test_adjusting_never_lowers_a_p_value(rng, n_markets, method):
    p = rng.random(n_markets).round(2)
    found = adjusted(p, method)
    assert (found >= p * (1 - 1e-12)).all()
    assert (found <= 1.0).all()


@pytest.mark.parametrize(
    ("p", "earlier", "expected"),
    [
        (0.04, 0, 0.04),
        (0.04, 1, 1 - 0.96**2),
        (0.04, 9, 1 - 0.96**10),
        (1e-18, 99, 1e-16),  # below the spacing of numbers at 1
        (1.0, 3, 1.0),
    ],
)
def test_the_best_of_several_searches(p, earlier, expected):
    assert after_searches(p, earlier) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("undefined", [None, float("nan")])
def test_without_p_no_number_of_searches_changes_it(undefined):
    assert after_searches(undefined, 3) is None
