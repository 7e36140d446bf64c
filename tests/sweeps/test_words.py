"""Which words are the sweep's, which every market's, and what they make of a market."""

from datetime import UTC, datetime

import pytest

from pipeline.config import TrainConfig, load
from pipeline.config.commands import SweepConfig
from pipeline.sweep import compose, split
from pipeline.sweeps.manifest import SweepRequest, pinned, task_hash

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def test_a_market_is_composed_as_a_training_of_it_would_be():
    words = split(["markets=all", "optimizer=random", "storage=sqlite", "executor=local", "seed=3"])
    assert words.own == ["markets=all", "storage=sqlite", "executor=local"]
    assert words.markets == ["optimizer=random", "storage=sqlite", "seed=3"]
    configs = compose(["btc_kraken_4h"], words.markets)
    alone = load(["market=btc_kraken_4h", "optimizer=random", "seed=3"], TrainConfig, "train")
    assert configs == {"btc_kraken_4h": alone}


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("markets=all", ("all",)),
        ("markets=btc_*,eth_kraken_1h", ("btc_*", "eth_kraken_1h")),
        ("markets=[btc_*,eth_kraken_1h]", ("btc_*", "eth_kraken_1h")),
    ],
)
def test_markets_are_a_name_or_several(word, names):
    assert load(split([word]).own, SweepConfig, "sweep").markets == names


def test_several_nodes_take_a_server():
    words = ["markets=all", "executor=ray", "executor.address=auto"]
    load([*words, "storage.url=postgresql://me@host/db"], SweepConfig, "sweep")
    load(["markets=all", "executor=ray", "executor.address=local"], SweepConfig, "sweep")


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ([], datetime(2025, 3, 1, tzinfo=UTC), DAY),
        (["data.until=2024-12-31"], NEW_YEAR, datetime(2024, 12, 31, tzinfo=UTC)),
        (["data.since=2024-01-01"], NEW_YEAR, DAY),
        (["data.history=2y"], datetime(2024, 3, 1, tzinfo=UTC), DAY),
        (["data.history=all"], None, DAY),
    ],
)
def test_an_open_end_of_an_exchange_history_gets_its_date(words, since, until):
    config = load(["market=btc_binance_1h", *words], TrainConfig, "train")
    data = pinned(config, DAY).data
    assert (data.since, data.until) == (since, until)
    assert pinned(pinned(config, DAY), datetime.now(UTC)) == pinned(config, DAY)


def test_other_candles_have_no_open_end():
    config = load(["market=demo"], TrainConfig, "train")
    assert pinned(config, DAY) == config


def key(*overrides, markets=("btc_kraken_1h", "btc_kraken_4h")):
    return SweepRequest(dict.fromkeys(markets), overrides).key


def test_the_key_is_of_what_decides_results():
    assert key("seed=1", "optimizer=grid") == key("optimizer=grid", "seed=1")
    assert key("seed=1", "storage=postgresql", "backend.threads=2") == key("seed=1")
    assert key("seed=1") != key("seed=2")
    assert key("seed=1") != key("seed=1", markets=("btc_kraken_1h",))
    assert key("validation=train_test_split") != key("validation=walk_forward") != key()
    assert key("validation.test=20") != key("validation.test=30")
    assert key("validation.memory_gb=2") == key()


def test_the_hash_of_a_task_changes_with_what_is_computed(tmp_path):
    def of(*words):
        return task_hash(load(["market=btc_binance_1h", *words], TrainConfig, "train"))

    path = tmp_path / "candles.parquet"
    words = ("data=file", f"data.path={path}")
    missing = of(*words)
    path.write_bytes(b"candles")
    assert len({missing, of(*words), of(*words, "seed=1"), of()}) == 4
    assert of(*words, "backend=numpy") == of(*words)
