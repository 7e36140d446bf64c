"""Which markets are measured, whatever order they finish in."""

import itertools
from collections import Counter

import pytest

from pipeline.errors import UserError
from pipeline.studies.calibrate.markets import NULL_KINDS, Cell, Edge, Market
from pipeline.studies.calibrate.plan import Plan

CELLS = tuple(Cell(t, costs) for t in ("5m", "15m") for costs in ("exchange", "none"))
EDGES = (Edge(3.0, 1.0), Edge(2.0, 4.0))
LAST = Cell("15m", "exchange")


def test_every_kind_has_its_seeds_in_every_cell_and_every_edge_its_own():
    markets = Plan(CELLS, 3, 2, EDGES, {"5m": 2, "15m": 1}).markets({})
    assert len(set(markets)) == len(markets)
    counts = Counter((m.kind, m.cell, m.edge) for m in markets)
    for cell in CELLS:
        assert all(counts[kind, cell, None] == 3 for kind in NULL_KINDS)
        files = 2 if cell.timeframe == "5m" else 1
        assert counts["real", cell, None] == counts["reversed", cell, None] == files
    assert all(counts["planted", LAST, edge] == 2 for edge in EDGES)
    assert sum(counts.values()) == 4 * 6 * 3 + 2 * (2 + 2 + 1 + 1) + 2 * 2


def test_without_files_markets_are_generated():
    kinds = {m.kind for m in Plan(CELLS, 3, 2, EDGES, {}).markets({})}
    assert kinds == {"synthetic", "garch_t", "planted"}


def test_edges_are_planted_with_costs_where_nulls_have_none():
    (market,) = Plan((Cell("5m", "none"),), 0, 1, EDGES[:1], {}).markets({})
    assert market == Market("planted", 0, Cell("5m", "exchange"), EDGES[0])


def test_a_part_that_is_done_has_something_of_everything():
    markets = Plan(CELLS, 3, 2, EDGES, {"5m": 1, "15m": 1}).markets({})
    first = [m for m in markets if m.seed == 0]
    assert markets[: len(first)] == first
    assert {m.kind for m in first} == {*NULL_KINDS, "real", "reversed", "planted"}


def test_a_seed_out_of_reach_makes_room_for_the_next(outcome, known):
    plan = Plan(CELLS, 0, 2, EDGES[:1], {})
    missing = outcome("planted", 1, EDGES[0], stage=None, cell=LAST)
    expected = [Market("planted", seed, LAST, EDGES[0]) for seed in range(3)]
    assert plan.markets(known(missing)) == expected


def test_the_order_of_finishing_does_not_matter(outcome, known):
    """Seeds 0, 1 and 3 are out of reach: the two that count are 2 and 4 in any order."""
    plan, ends = Plan(CELLS, 0, 2, EDGES[:1], {}), set()
    for choices in itertools.product((0, -1), repeat=5):
        found, choice = {}, iter(choices)
        while left := [m for m in plan.markets(found) if m not in found]:
            seed = left[next(choice, 0)].seed
            stage = None if seed in (0, 1, 3) else "PAPER"
            found |= known(outcome("planted", seed, EDGES[0], stage, LAST))
        ends.add(tuple(market.seed for market in plan.markets(found)))
    assert ends == {(0, 1, 2, 3, 4)}


def test_an_edge_that_nothing_carries_is_refused(outcome, known):
    edge = Edge(99.0, 0.5)
    found = known(*(outcome("planted", s, edge, None, LAST, source="too much.") for s in range(20)))
    with pytest.raises(UserError, match=r"--edges 99x0.5: 13 of 13 .* says: too much. Leave it"):
        Plan(CELLS, 0, 1, (edge,), {}).markets(found)
