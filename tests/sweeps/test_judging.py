"""The q-values of a sweep's markets by hand, over the p-value that decides."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.sweep import compose
from pipeline.sweeps.manifest import SweepRequest, surrogate_count
from pipeline.validation import stages
from pipeline.validation.multiple_testing import adjusted, sweep_q_values
from pipeline.validation.stages import REQUIREMENTS, Requirement, deciding_p

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def both(monkeypatch):
    """Gates of VALIDATION that ask for both p-values, whatever today's ask for."""
    others = tuple(r for r in REQUIREMENTS if r.name not in ("p_value", "surrogate_p"))
    asked = tuple(Requirement("DISCOVERY", name, "<", 0.05) for name in ("p_value", "surrogate_p"))
    monkeypatch.setattr(stages, "REQUIREMENTS", (*others, *asked))


@pytest.mark.parametrize(
    ("p_value", "surrogate_p", "expected"),
    [
        (0.01, 0.03, 0.03),
        (0.04, 0.01, 0.04),
        (0.2, None, 1.0),
        (None, None, None),
        (None, 0.01, None),
    ],
)
def test_the_larger_p_decides_and_one_not_made_is_1(both, p_value, surrogate_p, expected):
    assert deciding_p({"p_value": p_value, "surrogate_p": surrogate_p, "beta": 0.0}) == expected


def test_the_p_that_decides_is_one_of_those_that_are_judged():
    gates = {r.name for r in REQUIREMENTS if r.stage == "DISCOVERY"}
    figures = {"p_value": 0.011, "surrogate_p": 0.012, "beta": 0.1}
    assert deciding_p(figures) == max(p for name, p in figures.items() if name in gates)


@pytest.mark.parametrize(
    ("beta", "alpha_p", "expected"),
    [
        (0.6, 0.049, 0.049),
        (-0.6, 0.049, 0.049),
        (0.6, 0.001, 0.01),
        (0.2, 0.049, 0.01),
        (None, 0.049, 0.049),
        (0.6, None, 1.0),
    ],
)
def test_alpha_decides_where_a_series_rides_the_market(beta, alpha_p, expected):
    figures = {"p_value": 0.01, "surrogate_p": 0.01, "beta": beta, "alpha_p": alpha_p}
    assert deciding_p(figures) == expected


def test_q_by_hand(both):
    """Four tests and one that is none: q of rank k is p · 4 / k, and no larger than the next."""
    figures = [(0.01, 0.02), (0.04, 0.03), (0.3, None), (0.001, 0.005), (None, None)]
    p = [deciding_p({"p_value": a, "surrogate_p": b, "beta": 0.0}) for a, b in figures]
    assert p == [0.02, 0.04, 1.0, 0.005, None]
    q = adjusted(p, "bh")
    assert q[:4] == pytest.approx([0.02 * 4 / 2, 0.04 * 4 / 3, 1.0, 0.005 * 4])
    assert np.isnan(q[4])


def test_q_counts_every_market_that_was_trained():
    """Three with a p, one whose p is undefined, two that stored nothing: six tests."""
    q_values = sweep_q_values([0.01, None, 0.04, 0.02], 2)
    assert q_values == [pytest.approx(0.06), None, pytest.approx(0.08), pytest.approx(0.06)]
    assert sweep_q_values([0.04], 0) == [0.04]
    assert sweep_q_values([], 3) == []
    assert sweep_q_values([None], 0) == [None]


@pytest.mark.parametrize("left_out", [1, 5, 19])
def test_to_store_nothing_makes_no_other_market_likelier(left_out):
    """Whatever the p of the weak markets was, to leave them out lowers no q."""
    strong, weak = [0.001, 0.02], [0.3, 0.9] * left_out
    among_all = sweep_q_values([*strong, *weak], 0)
    without = sweep_q_values(strong, len(weak))
    assert without[0] == pytest.approx(0.001 * (2 + 2 * left_out))
    assert all(q >= other for q, other in zip(without, among_all, strict=False))


@pytest.mark.parametrize(
    ("markets", "count"), [(1, 99), (5, 99), (6, 119), (24, 479), (50, 999), (500, 999)]
)
def test_a_sweep_takes_as_many_surrogates_as_its_correction_needs(markets, count):
    assert surrogate_count(markets) == count


@pytest.mark.parametrize("markets", [2, 6, 24, 99])
def test_q_is_in_reach_of_one_market_alone(both, markets):
    """The only one that passes, with none of its surrogates as good, and p far below it."""
    one = {"beta": 0.0, "p_value": 1e-5, "surrogate_p": 1.0 / (surrogate_count(markets) + 1)}
    failed = {"beta": 0.0, "p_value": 0.4, "surrogate_p": None}
    q, *others = adjusted([deciding_p(one), *[deciding_p(failed)] * (markets - 1)], "bh")
    assert q < 0.1
    assert set(others) == {1.0}
    if markets >= 10:  # with the count of a single market it is not
        assert adjusted([0.01, *[1.0] * (markets - 1)], "bh")[0] >= 0.1


def test_the_count_is_part_of_what_each_market_is_told():
    names = [f"btc_binance_{timeframe}" for timeframe in ("5m", "15m", "1h", "4h")]
    names += [f"eth_binance_{timeframe}" for timeframe in ("5m", "15m", "1h", "4h")]
    configs = compose(names, [])
    request = SweepRequest(configs, ())
    counts = {c.validation.surrogate_count for c in request.pinned(DAY).values()}
    assert counts == {159}
    few = SweepRequest({name: configs[name] for name in names[:3]}, ())
    assert few.judged_together == few.configs  # as each would be trained alone
    said = SweepRequest(compose(names, ["validation.surrogate_count=50"]), ())
    assert said.judged_together == said.configs
