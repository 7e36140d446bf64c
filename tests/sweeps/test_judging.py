"""The q-values of a sweep's markets by hand, over the p-value that decides."""

import numpy as np
import pytest

from pipeline.validation import stages
from pipeline.validation.multiple_testing import adjusted
from pipeline.validation.stages import REQUIREMENTS, Requirement, deciding_p

MOST = 24


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
    assert deciding_p({"p_value": p_value, "surrogate_p": surrogate_p}) == expected


def test_the_p_that_decides_is_one_of_those_that_are_judged():
    gates = {r.name for r in REQUIREMENTS if r.stage == "DISCOVERY"}
    figures = {"p_value": 0.011, "surrogate_p": 0.012}
    assert deciding_p(figures) == max(p for name, p in figures.items() if name in gates)


def test_q_by_hand(both):
    """Four tests and one that is none: q of rank k is p · 4 / k, and no larger than the next."""
    figures = [(0.01, 0.02), (0.04, 0.03), (0.3, None), (0.001, 0.005), (None, None)]
    p = [deciding_p({"p_value": a, "surrogate_p": b}) for a, b in figures]
    assert p == [0.02, 0.04, 1.0, 0.005, None]
    q = adjusted(p, "bh")
    assert q[:4] == pytest.approx([0.02 * 4 / 2, 0.04 * 4 / 3, 1.0, 0.005 * 4])
    assert np.isnan(q[4])
