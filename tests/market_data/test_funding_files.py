"""Files of funding rates, as they are published and as people write them."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files.funding import is_funding, read_funding

PAIR = "BTC/USDT:USDT"
START, EIGHT = 1_672_531_200_000, 28_800_000
TIMES = START + EIGHT * np.arange(6)
RATES = np.array([1e-4, -2.5e-5, 0.0, 3.75e-3, 1e-4, -1e-4])


def frame(time="calc_time", rate="last_funding_rate", times=TIMES):
    return pd.DataFrame({time: times, "funding_interval_hours": 8, rate: RATES})


def check(path):
    raw = read_funding(path, PAIR)
    np.testing.assert_array_equal(raw.timestamp, TIMES)
    np.testing.assert_array_equal(raw.rate, RATES)


def test_binances_archives_in_a_folder_among_other_files(tmp_path):
    for part, name in ((slice(0, 3), "2023-01"), (slice(3, 6), "2023-02")):
        with zipfile.ZipFile(tmp_path / f"BTCUSDT-fundingRate-{name}.zip", "w") as archive:
            archive.writestr(f"BTCUSDT-fundingRate-{name}.csv", frame()[part].to_csv(index=False))
    (tmp_path / "BTCUSDT-5m-2023-01.csv").write_text("1,2,3\n")
    check(tmp_path)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_units_of_time(tmp_path, unit):
    file = tmp_path / "rates.csv"
    frame("timestamp", "rate", (TIMES * unit).astype(np.int64)).to_csv(file, index=False)
    check(file)


def test_freqtrades_feather_and_json_hold_the_rate_as_the_open(tmp_path):
    dates = pd.to_datetime(TIMES, unit="ms", utc=True)
    columns = {"open": RATES, "high": 0.0, "low": 0.0, "close": 0.0, "volume": 0.0}
    pd.DataFrame({"date": dates, **columns}).to_feather(
        tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather"
    )
    check(tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather")
    rows = [[int(t), float(r), 0.0, 0.0, 0.0, 0.0] for t, r in zip(TIMES, RATES, strict=True)]
    (tmp_path / "BTC_USDT_USDT-8h-funding_rate.json").write_text(json.dumps(rows))
    check(tmp_path / "BTC_USDT_USDT-8h-funding_rate.json")


def test_dates_with_and_without_a_zone(tmp_path):
    dates = pd.to_datetime(TIMES, unit="ms", utc=True)
    file = tmp_path / "rates.csv"
    frame("date", "funding_rate", dates).to_csv(file, index=False)
    check(file)
    frame("date", "funding_rate", dates.tz_localize(None)).to_csv(file, index=False)
    check(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a,b\n1,2\n", "needs a column"),
        ("", "cannot be read"),
        ("timestamp,rate\n1672531200000,much\n", "is none"),
        ("date,rate\n,0.1\n", "is none"),
    ],
)
def test_what_is_no_funding(tmp_path, content, reason):
    file = tmp_path / "rates.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=reason):
        read_funding(file, PAIR)


def test_a_folder_without_any(tmp_path):
    with pytest.raises(UserError, match="no file of funding rates"):
        read_funding(tmp_path, PAIR)


def test_names():
    assert is_funding("BTCUSDT-fundingRate-2023-01.zip")
    assert is_funding("BTC_USDT_USDT-1h-funding_rate.feather")
    assert not is_funding("BTCUSDT-5m-2023-01.zip")


def test_a_folder_of_several_coins_gives_the_markets_own(tmp_path):
    frame().to_csv(tmp_path / "BTCUSDT-fundingRate-2023-01.csv", index=False)
    other = frame()
    other["last_funding_rate"] = 0.001
    other.to_csv(tmp_path / "ETHUSDT-fundingRate-2023-01.csv", index=False)
    other.to_csv(tmp_path / "ETH_USDT_USDT-8h-funding_rate.csv", index=False)
    check(tmp_path)
    with pytest.raises(UserError, match="no file of funding rates of BTC"):
        read_funding(tmp_path / "ETHUSDT-fundingRate-2023-01.csv", PAIR)


def test_a_table_of_several_coins_gives_the_markets_own(tmp_path):
    both = pd.concat([frame().assign(symbol="BTCUSDT"), frame().assign(symbol="ETHUSDT")])
    both.to_csv(tmp_path / "rates.csv", index=False)
    check(tmp_path / "rates.csv")
    with pytest.raises(UserError, match="and none of SOL"):
        read_funding(tmp_path / "rates.csv", "SOL/USDT:USDT")


@pytest.mark.parametrize("wrap", ["list", "data", "result"])
def test_answers_of_exchanges_hold_numbers_as_texts(tmp_path, wrap):
    rows = [
        {"symbol": "BTCUSDT", "fundingTime": str(t), "fundingRate": str(r)}
        for t, r in zip(TIMES, RATES, strict=True)
    ]
    answer = {
        "list": rows,
        "data": {"code": "0", "data": rows},
        "result": {"result": {"list": rows}},
    }
    file = tmp_path / "fundingRate.json"
    file.write_text(json.dumps(rows if wrap == "list" else answer[wrap]))
    check(file)


def test_semicolons_and_local_times(tmp_path):
    local = pd.to_datetime(TIMES, unit="ms", utc=True).tz_convert("Europe/Berlin").tz_localize(None)
    file = tmp_path / "rates.csv"
    frame("date", "rate", local).to_csv(file, index=False, sep=";")
    raw = read_funding(file, PAIR, "Europe/Berlin")
    np.testing.assert_array_equal(raw.timestamp, TIMES)
