"""Which candles of a file had closed, and for which time the file speaks."""

import numpy as np
import pytest

from pipeline.market_data.files.importers import LONGEST_OWN_HOLE_MS, closed, spoken_for

STEP = 300_000
HOLE = LONGEST_OWN_HOLE_MS // STEP  # bars


@pytest.mark.parametrize(
    ("now", "written", "bars"),
    [
        (10.0, 10.0, 10),
        (9.99, 9.99, 9),  # the tenth is forming
        (4.0, 99.0, 4),  # the rest lies in the future
        (99.0, 9.5, 9),  # it was forming when the file was written
        (99.0, 10.0, 10),
        (99.0, -5.0, 10),  # an archive that gives its members no time
    ],
)
def test_only_candles_that_had_closed(rows, now, written, bars):
    start = int(rows([0]).timestamp[0])
    raw = closed(rows(range(10)), STEP, start + int(now * STEP), start + int(written * STEP))
    np.testing.assert_array_equal(raw.timestamp, rows(range(bars)).timestamp)


@pytest.mark.parametrize(
    ("published", "spans"),
    [(False, [(0, 3), (4 + HOLE, 6 + HOLE)]), (True, [(0, 6 + HOLE)])],
)
def test_only_an_archive_speaks_for_a_hole_longer_than_a_day(published, spans):
    bars = np.array([0, 2, 4 + HOLE, 5 + HOLE])
    found = spoken_for(STEP * bars, STEP, published)
    assert found == tuple((STEP * a, STEP * b) for a, b in spans)


def test_any_file_speaks_for_a_hole_of_a_day():
    assert spoken_for(STEP * np.array([0, 1 + HOLE]), STEP, False) == ((0, STEP * (2 + HOLE)),)
