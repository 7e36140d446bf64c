"""The configuration of a market is the one a person would train on it with."""

from pathlib import Path

import pytest

from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.studies.calibrate.markets import (
    SEARCH_SEEDS_FROM,
    Cell,
    Configurations,
    Edge,
    Market,
    named,
)
from pipeline.training.provenance import fingerprint

FILES = [
    Path("binance_BTC-USDT_1h_a.parquet"),
    Path("kraken_ETH-USD_1h.csv"),
    Path("binance_SOL-USDT_5m.csv"),
]
HOURS, FREE = Cell("1h", "exchange"), Cell("1h", "none")
KRAKEN = ["market=eth_kraken_1h", "data=file", f"data.path={FILES[1]}"]
GENERATED = ["market=demo_null", "market.timeframe=1h", "data.seed=3"]


@pytest.fixture(scope="module")
def configurations():
    return Configurations(FILES, ["min_trades=7"])


def _composed(*overrides):
    fixed = ["min_trades=7", "backend.threads=1", "validation.evidence=deciding"]
    return load([*overrides, *fixed, f"seed={SEARCH_SEEDS_FROM + 3}"], TrainConfig, "train")


@pytest.mark.parametrize(
    ("market", "overrides"),
    [
        (Market("synthetic", 3, HOURS), GENERATED),
        (Market("garch_t", 3, HOURS), [*GENERATED, "data.model=garch_t"]),
        (Market("synthetic", 3, FREE), [*GENERATED, "costs.fee_rate=0", "costs.slippage=0"]),
        (
            Market("permuted", 3, HOURS),
            [*KRAKEN, "data.surrogate={kind: permuted, seed: 3}"],
        ),
        (
            Market("bootstrapped", 3, FREE),
            [
                *KRAKEN,
                "data.surrogate={kind: bootstrapped, seed: 3, days: 365}",
                "costs.fee_rate=0",
                "costs.slippage=0",
            ],
        ),
        (Market("reversed", 3, HOURS), [*KRAKEN, "data.surrogate={kind: reversed, seed: 3}"]),
        (Market("real", 3, HOURS), KRAKEN),
        (
            Market("planted", 3, HOURS, Edge(2.0, 4.0)),
            [
                *KRAKEN,
                "data.surrogate={kind: bootstrapped, seed: 3, days: 1460}",
                "data.plant={sharpe: 2, costs: {fee_rate: 0.004, slippage: 0.001}}",
            ],
        ),
    ],
)
def test_it_is_what_the_command_line_would_compose(configurations, market, overrides):
    assert configurations.of(market) == _composed(*overrides)


def test_without_files_edges_are_planted_in_generated_candles():
    data = Configurations([], []).of(Market("planted", 3, HOURS, Edge(2.0, 1.5))).data
    assert (data.source, data.seed, data.days, data.plant.sharpe) == ("synthetic", 3, 548, 2.0)
    assert (data.plant.costs.fee_rate, data.plant.costs.slippage) == (0.001, 0.0005)


def test_files_of_a_timeframe_take_turns(configurations):
    paths = [configurations.of(Market("sign_flipped", s, HOURS)).data.path for s in range(3)]
    assert paths == [str(FILES[0]), str(FILES[1]), str(FILES[0])]
    assert [configurations.files(timeframe) for timeframe in ("1h", "5m", "4h")] == [2, 1, 0]


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("binance_BTC-USDT_5m_2023-01_2023-12.parquet", ("btc_binance_5m", "btc", "5m")),
        ("kraken_ETH-USD_4h.feather", ("eth_kraken_4h", "eth", "4h")),
    ],
)
def test_a_file_names_its_market(name, market):
    assert named(Path("folder") / name) == market


@pytest.mark.parametrize("name", ["candles.csv", "binance_BTCUSDT_5m.csv", "binance_BTC-USDT.csv"])
def test_a_file_that_does_not_is_refused(name):
    with pytest.raises(UserError, match="the file's name must tell its market, as in binance_BTC"):
        named(Path(name))


@pytest.mark.parametrize(
    "override",
    ["seed=1", "data.seed=1", "market=demo", "+data.plant=null", "market.timeframe=1h"],
)
def test_what_calibration_sets_itself_is_refused(override):
    with pytest.raises(UserError, match=r"calibration sets [\w.]+ itself"):
        Configurations([], [override])


def test_a_fingerprint_is_of_content_not_of_a_path(tmp_path):
    prints = []
    for folder, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        file = tmp_path / folder / "binance_BTC-USDT_1h.csv"
        file.parent.mkdir()
        file.write_bytes(content)
        prints.append(fingerprint(Configurations([file], []).of(Market("permuted", 0, HOURS))))
    assert prints[0] == prints[1] != prints[2]


def test_a_fingerprint_tells_configurations_apart():
    configurations = Configurations([], [])
    markets = [
        Market("synthetic", 0, HOURS),
        Market("synthetic", 0, FREE),
        Market("garch_t", 0, HOURS),
        Market("synthetic", 1, HOURS),
        Market("planted", 0, HOURS, Edge(4.0, 1.0)),
        Market("planted", 0, HOURS, Edge(4.0, 2.0)),
    ]
    assert len({fingerprint(configurations.of(market)) for market in markets}) == 6


def test_a_fingerprint_may_leave_out_the_gates():
    """Figures are judged anew when they are read; what computes them still counts."""
    config = Configurations([], []).of(Market("synthetic", 0, HOURS))
    assert fingerprint(config) == fingerprint(config, gates=True)
    assert fingerprint(config) != fingerprint(config, gates=False)


def test_a_missing_file_is_named():
    config = Configurations([Path("binance_BTC-USDT_1h_none.csv")], [])
    with pytest.raises(UserError, match=r"--candles binance_\S+ cannot be read: No such file"):
        fingerprint(config.of(Market("permuted", 0, HOURS)))
