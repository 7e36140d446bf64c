"""The configuration of a market is the one a person would train on it with."""

from pathlib import Path

import pytest

from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.studies.calibrate.markets import (
    KINDS,
    SEARCH_SEEDS_FROM,
    Configurations,
    Market,
    market_of,
)
from pipeline.training.provenance import fingerprint

FILES = [Path("binance_BTC-USDT_5m_a.parquet"), Path("kraken_ETH-USD_1h.csv")]


@pytest.fixture(scope="module")
def configurations():
    return Configurations(KINDS, FILES, ["min_trades=7"])


def _composed(*overrides):
    fixed = ["min_trades=7", "backend.threads=1", "validation.evidence=deciding"]
    return load([*overrides, *fixed, f"seed={SEARCH_SEEDS_FROM + 3}"], TrainConfig, "train")


@pytest.mark.parametrize(
    ("market", "overrides"),
    [
        (Market("synthetic", 3), ["market=demo_null", "data.seed=3"]),
        (
            Market("planted", 3, 4.5),
            ["market=demo", "data.seed=3", "data.plant.sharpe=4.5"],
        ),
        (
            Market("permuted", 3),
            [
                "market=eth_kraken_1h",
                "data=file",
                f"data.path={FILES[1]}",
                "data.surrogate={kind: permuted, seed: 3}",
            ],
        ),
    ],
)
def test_it_is_what_the_command_line_would_compose(configurations, market, overrides):
    assert configurations.of(market) == _composed(*overrides)


def test_files_take_turns(configurations):
    paths = [configurations.of(Market("sign_flipped", seed)).data.path for seed in range(3)]
    assert paths == [str(FILES[0]), str(FILES[1]), str(FILES[0])]


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("binance_BTC-USDT_5m_2023-01_2023-12.parquet", "btc_binance_5m"),
        ("kraken_ETH-USD_4h.feather", "eth_kraken_4h"),
    ],
)
def test_a_file_names_its_market(name, market):
    assert market_of(Path("folder") / name) == market


@pytest.mark.parametrize("name", ["candles.csv", "binance_BTCUSDT_5m.csv", "binance_BTC-USDT.csv"])
def test_a_file_that_does_not_is_refused(name):
    with pytest.raises(UserError, match="the file's name must tell its market, as in binance_BTC"):
        market_of(Path(name))


@pytest.mark.parametrize("override", ["seed=1", "data.seed=1", "market=demo", "+data.plant=null"])
def test_what_calibration_sets_itself_is_refused(override):
    with pytest.raises(UserError, match=r"calibration sets [\w.]+ itself"):
        Configurations(["synthetic"], [], [override])


def test_a_fingerprint_is_of_content_not_of_a_path(tmp_path):
    prints = []
    for folder, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        file = tmp_path / folder / "binance_BTC-USDT_5m.csv"
        file.parent.mkdir()
        file.write_bytes(content)
        prints.append(
            fingerprint(Configurations(["permuted"], [file], []).of(Market("permuted", 0)))
        )
    assert prints[0] == prints[1] != prints[2]


def test_a_fingerprint_tells_configurations_apart(configurations):
    markets = [Market("synthetic", 0), Market("synthetic", 1), Market("planted", 0, 4.0)]
    assert len({fingerprint(configurations.of(market)) for market in markets}) == 3


def test_a_missing_file_is_named():
    config = Configurations(["permuted"], [Path("binance_BTC-USDT_5m_none.csv")], [])
    with pytest.raises(UserError, match=r"--candles binance_\S+ cannot be read: No such file"):
        fingerprint(config.of(Market("permuted", 0)))
