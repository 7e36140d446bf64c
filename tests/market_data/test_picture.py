"""What the picture gathers and draws."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.market_data.grid import make_regular
from pipeline.report.candles import by_day, drawing, write_picture

START, DAY, HOUR = 1_672_531_200_000, 86_400_000, 3_600_000


@pytest.fixture
def hours(rows):
    """Three days of hours; 6 are missing on the first and all on the second."""
    return make_regular(rows([*range(18), *range(48, 72)], step=HOUR), "1h", "<x> & y")


def test_days_have_coverage_volume_and_prices(hours):
    days = by_day(hours[0])
    np.testing.assert_array_equal(days.start, START + DAY * np.arange(3))
    np.testing.assert_array_equal(days.coverage, [0.75, 0.0, 1.0])
    np.testing.assert_array_equal(days.volume, [18.0, 0.0, 24.0])
    np.testing.assert_array_equal(days.low, [99.0, np.nan, 147.0])
    np.testing.assert_array_equal(days.high, [118.0, np.nan, 172.0])
    np.testing.assert_array_equal(days.close, [117.5, np.nan, 171.5])


def test_a_gap_is_drawn_where_it_is(hours):
    *_, gaps = re.findall(r'<path d="([^"]*)" fill="#D55E00"/>', drawing(hours[0]))
    assert gaps == "M355.00 640h416.67v24H355.00z"  # from 18/72 of 1,000 pixels, 30/72 wide


def test_a_gap_of_one_bar_in_years_is_still_a_pixel(rows):
    candles, _ = make_regular(rows([*range(500), *range(501, 20_000)], step=HOUR), "1h", "x")
    assert "h1.00v24" in drawing(candles)


def test_the_page_is_whole_and_names_the_source(hours, tmp_path):
    path = tmp_path / "picture.html"
    write_picture(*hours, path)
    page = path.read_text(encoding="utf-8")
    assert "<h1>&lt;x&gt; &amp; y</h1>" in page
    assert "1 gaps, the longest of 30 bars; 30 bars filled (41.67%)." in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing is loaded
    assert [file.name for file in tmp_path.iterdir()] == ["picture.html"]
    ElementTree.fromstring(drawing(hours[0]))  # well-formed


@pytest.mark.parametrize(
    "bars",
    [range(2), range(24), [*range(240), *range(16_560, 16_800)]],
    ids=["two hours", "a day", "two years with a hole"],
)
def test_any_length_can_be_drawn(rows, bars):
    candles, _ = make_regular(rows(bars, step=HOUR), "1h", "x")
    assert "nan" not in drawing(candles)
    assert "inf" not in drawing(candles)


def test_an_absurd_price_is_drawn(rows):
    candles, _ = make_regular(
        rows(range(3), high=[101.0, 1e308, 103.0], low=[1e-300, 99, 99]), "5m", "x"
    )
    assert "inf" not in drawing(candles)


def test_prices_that_never_move_and_no_volume(rows):
    flat = dict.fromkeys(("open", "high", "low", "close"), [100.0] * 5)
    candles, _ = make_regular(rows(range(5), volume=[0.0] * 5, **flat), "5m", "x")
    assert "nan" not in drawing(candles)
