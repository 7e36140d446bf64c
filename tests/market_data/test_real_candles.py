"""The worked example of the README: real candles, the whole grid, from the shell."""

from pathlib import Path

import pytest

from support.runs import ROOT, finish, start

FILE = ROOT / "../shared/data/binance_BTC-USDT_5m_2023-01_2023-12.parquet"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    if not FILE.exists():
        pytest.skip(f"{FILE.name} is not beside the repository")
    folder = tmp_path_factory.mktemp("example")
    arguments = ("market=btc_binance_5m", "optimizer=grid", "data=file")
    return finish(start(folder, *arguments, f"data.path={Path(FILE).resolve()}"), folder)


@pytest.mark.slow
def test_the_whole_grid_ends_as_the_readme_says(example):
    assert example.status == 0
    result = example.result
    out_of_sample, windows = result["out_of_sample"], result["windows"]
    assert f"{out_of_sample['net_profit']:.1%}" == "2.0%"
    assert out_of_sample["sample_size"] == 49
    assert f"{out_of_sample['sharpe_ratio']:.2f}" == "0.35"
    assert f"{result['statistics']['p_value']:.2f}" == "0.39"
    assert f"{result['in_sample']['net_profit']:.1%}" == "12.9%"
    assert (len(windows), result["lifecycle_stage"]) == (8, "PAPER")
    winners = sum(window["out_of_sample"] is not None for window in windows)
    assert result["combinations_evaluated"] == 9 * 201_600 + winners


@pytest.mark.slow
def test_real_candles_are_not_called_synthetic(example):
    (row,) = example.configurations
    assert "SYNTHETIC" not in example.out
    assert row.synthetic is row.document["metadata"]["synthetic"] is False
    assert example.result["synthetic"] is example.result["provenance"]["synthetic"] is False


@pytest.mark.slow
def test_the_quality_of_the_file_is_kept(example):
    quality = example.result["provenance"]["quality"]
    assert (quality["rows"], quality["gaps"], quality["longest_gap_bars"]) == (104_816, 1, 16)
    assert example.result["provenance"]["filled_candles"] == quality["filled"] == 16
    assert example.result["provenance"]["data_source"].endswith(FILE.name)
