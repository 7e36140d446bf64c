"""The quality report and its limits, on candles whose faults are counted by hand."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.market_data.quality.report import QualityLimits, as_table, check

START, STEP = 1_672_531_200_000, 300_000


@pytest.fixture
def report(rows):
    """Bars 0 1 2 | 5 6 | 8, one copy, one out of order; a flat one, two without volume."""
    raw = rows(
        [0, 2, 1, 5, 6, 6, 8],
        high=[101, 103, 102, 106, 107, 107, 107],
        low=[99, 101, 100, 104, 105, 105, 107],
        volume=[1, 0, 1, 1, 1, 1, 0],
    )
    return make_regular(raw, "5m", "x")[1]


def test_report_counts_every_fault(report):
    expected = {
        "source": "x",
        "rows": 7,
        "first_bar": START,
        "last_bar": START + 8 * STEP,
        "gaps": 2,
        "longest_gap_bars": 2,
        "filled": 3,
        "filled_share": 3 / 9,
        "duplicates": 1,
        "out_of_order": 1,
        "zero_volume_share": 2 / 6,
        "flat_share": 1 / 6,
        "ohlc_violations": 1,  # the flat one: its open and close are outside
        "first_ohlc_violation": START + 8 * STEP,
        "largest_gap_jump": pytest.approx(math.log(105 / 102.5)),
        "longest_stale_hours": 0.0,
        "outliers": 0,
        "largest_volume_change": 1.0,
        "compared_with": None,
        "median_disagreement": None,
    }
    assert {name: asdict(report)[name] for name in expected} == expected


def test_report_is_plain_json(report):
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_a_history_without_faults_has_zeros(rows):
    report = make_regular(rows(range(3)), "5m", "x")[1]
    assert (report.gaps, report.longest_gap_bars, report.filled_share) == (0, 0, 0.0)
    assert (report.largest_gap_jump, report.first_ohlc_violation) == (0.0, None)
    check(report, QualityLimits())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("high", 101.2),
        ("low", 101.1),
        ("open", 103.0),
        ("close", 99.0),
    ],
)
def test_low_and_high_must_enclose_open_and_close(rows, column, value):
    raw = rows(range(3))
    values = getattr(raw, column).copy()
    values[1] = value  # bar 1 is open 101, high 102, low 100, close 101.5
    report = make_regular(replace(raw, **{column: values}), "5m", "x.csv")[1]
    assert report.ohlc_violations == 1
    with pytest.raises(UserError, match=r"allows 0, found 1 \(the first at 2023-01-01 00:05 UTC"):
        check(report, QualityLimits())
    check(report, QualityLimits(ohlc_violations=1))


@pytest.mark.parametrize("name", list(asdict(QualityLimits())))
def test_every_limit_stops_what_is_above_it_and_passes_what_equals_it(report, name):
    off = QualityLimits(**dict.fromkeys(asdict(QualityLimits())))
    apart = {"median_disagreement": 0.02, "largest_disagreement": 0.5}
    report = replace(report, longest_stale_hours=14.0, outliers=3, **apart)
    value = getattr(report, name)
    check(report, replace(off, **{name: value}))
    with pytest.raises(UserError, match=rf"data.quality.{name} allows .*, found {value:.6g}"):
        check(report, replace(off, **{name: value * 0.9}))


@pytest.mark.parametrize(
    ("hours", "words"),
    [(14.0, "14 h"), (47.9, "47.9 h"), (48.0, "2.0 days"), (1234.0, "51.4 days")],
)
def test_a_long_time_without_a_new_price_is_in_days(report, hours, words):
    _, _, rows = as_table(replace(report, longest_stale_hours=hours, stale_since=None))
    assert dict(rows)["longest without a new price"] == words


def test_all_breaches_are_named_at_once(report):
    with pytest.raises(UserError) as error:
        check(report, QualityLimits())
    for name in ("filled_share", "zero_volume_share", "flat_share", "ohlc_violations"):
        assert f"data.quality.{name} allows" in str(error.value)


def test_real_binance_candles_pass_by_default(data_folder):
    for path in sorted(data_folder.glob("binance_*.parquet")):
        _, report = make_regular(read_file(path), path.name.split("_")[2], path.name)
        check(report, QualityLimits())


def test_first_years_of_kraken_pass_with_a_raised_limit(data_folder):
    raw = read_file(data_folder / "kraken_BTC-USD_1h_2013-10_2023-01.parquet")
    report = make_regular(raw, "1h", "kraken")[1]
    assert report.filled_share == pytest.approx(0.1338, abs=1e-4)
    with pytest.raises(UserError, match=r"data.quality.filled_share allows 0.02, found 0.133846"):
        check(report, QualityLimits())
    check(report, QualityLimits(filled_share=0.15))


def test_report_agrees_with_the_manifest(data_folder):
    manifest = json.loads((data_folder / "MANIFEST.json").read_text())
    for entry in manifest:
        raw = read_file(data_folder / entry["file"])
        report = make_regular(raw, entry["timeframe"], entry["file"])[1]
        assert (report.rows, report.gaps, report.filled) == (
            entry["rows"],
            entry["gaps"],
            entry["missing_candles"],
        )
        shares = np.array([report.zero_volume_share, report.flat_share])
        expected = [entry["zero_volume_pct"] / 100, entry["flat_pct"] / 100]
        np.testing.assert_allclose(shares, expected, atol=1e-6)
