"""Which markets are measured, whatever order they finish in."""

import itertools

import pytest

from pipeline.errors import UserError
from pipeline.studies.calibrate.markets import NULL_KINDS, Market
from pipeline.studies.calibrate.plan import Plan


def test_every_kind_and_strength_has_its_seeds():
    markets = Plan(3, NULL_KINDS, 2, (4.0, 8.0)).markets({})
    assert len(markets) == 3 * 3 + 2 * 2
    assert markets[:5] == [
        *(Market(kind, 0) for kind in NULL_KINDS),
        Market("planted", 0, 4.0),
        Market("planted", 0, 8.0),
    ]


def test_a_seed_out_of_reach_makes_room_for_the_next(outcome, known):
    plan = Plan(0, (), 2, (8.0,))
    missing = outcome("planted", 1, 8.0, stage=None)
    assert plan.markets(known(missing)) == [Market("planted", seed, 8.0) for seed in range(3)]


def test_the_order_of_finishing_does_not_matter(outcome, known):
    """Seeds 0, 1 and 3 are out of reach: the two that count are 2 and 4 in any order."""
    plan, ends = Plan(0, (), 2, (8.0,)), set()
    for choices in itertools.product((0, -1), repeat=5):
        found, choice = {}, iter(choices)
        while left := [m for m in plan.markets(found) if m not in found]:
            seed = left[next(choice, 0)].seed
            stage = None if seed in (0, 1, 3) else "PAPER"
            found |= known(outcome("planted", seed, 8.0, stage))
        ends.add(tuple(market.seed for market in plan.markets(found)))
    assert ends == {(0, 1, 2, 3, 4)}


def test_a_strength_that_nothing_carries_is_refused(outcome, known):
    found = known(*(outcome("planted", s, 99.0, None, source="too much.") for s in range(20)))
    with pytest.raises(UserError, match=r"--strengths 99: 13 of 13 .* says: too much. Leave it"):
        Plan(0, (), 1, (99.0,)).markets(found)
