"""What a result says of where it comes from."""

import functools
import operator
import re

import pytest

from gpu_engine import choose
from pipeline.config import TrainConfig, load
from pipeline.strategies.registry import load_strategy, source_files
from pipeline.training.candles import load_candles
from pipeline.training.job import description
from pipeline.training.provenance import config_hash, engine_hash, engine_hash_of, runtime_env
from support.parameters import DEPTH
from support.runs import QUICK, run


@pytest.fixture(scope="module")
def demo_config():
    return load(["market=demo"], TrainConfig, "train")


@pytest.fixture
def hash_with(demo_config):
    """Hash of the demo's configuration with one value changed."""

    def hash_with(key, value):
        values = demo_config.model_dump()
        *parents, name = key.split(".")
        section = functools.reduce(operator.getitem, parents, values)
        assert section[name] != value
        section[name] = value
        return config_hash(TrainConfig.model_validate(values))

    return hash_with


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("storage.url", "sqlite:///elsewhere.db"),
        ("storage.artifacts", "elsewhere"),
        ("backend.name", "numpy"),
        ("backend.threads", 1),
        ("backend.block", 100),
    ],
)
def test_where_and_how_leave_the_config_hash_alone(demo_config, hash_with, key, value):
    assert hash_with(key, value) == config_hash(demo_config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("market.base", "OTHER"),
        ("market.timeframe", "15m"),
        ("data.seed", 1),
        ("data.days", 364),
        ("data.plant", None),
        ("data.plant.sharpe", 7.0),
        ("data.quality.flat_share", 0.5),
        ("seed", 1),
        ("objective", "sharpe_ratio"),
        ("selection", "peak"),
        ("min_trades", 11),
        ("optimizer", {"name": "random", "samples": 10}),
        ("costs.fee_rate", 0.002),
        ("risk.max_daily_loss", None),
        ("risk.latency_threshold_ms", 400.0),
        ("validation.gap", 8),
        (f"strategy.parameters.{DEPTH}.grid", [0.001]),
    ],
)
def test_whatever_decides_a_result_changes_the_config_hash(demo_config, hash_with, key, value):
    assert hash_with(key, value) != config_hash(demo_config)


def test_the_order_of_overrides_does_not_matter():
    one = load(["market=demo", "seed=1", "min_trades=5"], TrainConfig, "train")
    other = load(["min_trades=5", "market=demo", "seed=1"], TrainConfig, "train")
    assert config_hash(one) == config_hash(other)


def test_the_engine_hash_is_the_same_in_another_process(tmp_path):
    code = "from pipeline.training.provenance import engine_hash; print(engine_hash())"
    assert run(tmp_path, code=code).out == f"{engine_hash_of.__wrapped__(None, None)}\n"
    assert re.fullmatch("[0-9a-f]{64}", engine_hash())


def test_the_engine_hash_changes_with_the_source(tmp_path, monkeypatch):
    (tmp_path / "kernel.cu").write_text("// one")
    monkeypatch.setattr("pipeline.training.provenance.strategies.__path__", [str(tmp_path)])
    one = engine_hash_of.__wrapped__(None, None)
    (tmp_path / "kernel.cu").write_text("// two")
    assert len({one, engine_hash_of.__wrapped__(None, None), engine_hash()}) == 3


def test_the_engine_hash_is_of_one_strategy(demo_config):
    """To edit a file of one leaves the others as they were; every edit of an own one is new."""
    built_in = demo_config.strategy
    one, other = (built_in.model_copy(update={"name": "own", "text": f"# {n}"}) for n in (1, 2))
    assert len({engine_hash(), *map(engine_hash, (built_in, one, other))}) == 4
    names = {path.name for path in source_files("liquidity_sweep")}
    assert names >= {"liquidity_sweep.py", "sweeps.py", "indicators.py", "numba_kernels.py"}
    assert {path.name for path in source_files("own", "")} == names - {
        "liquidity_sweep.py",
        "sweeps.py",
    }


def test_the_environment_names_what_computes():
    found = runtime_env()
    assert {"python", "platform", "numpy", "numba", "scipy", "optuna"} <= found.keys()
    assert re.match(r"3\.\d+\.\d+", found["python"])


def test_a_result_names_its_candles(peak):
    config = load(list(QUICK), TrainConfig, "train")
    strategy, backend = load_strategy("liquidity_sweep"), choose().backend
    candles = load_candles(config.market, config.data, strategy, backend, lambda n: None).candles
    found = peak.result["provenance"]
    assert found["data_hash"] == candles.sha256
    assert found["filled_candles"] == int(candles.filled.sum())
    assert (found["first_candle"], found["last_candle"]) == (
        "2023-01-01T00:00:00+00:00",
        "2023-07-19T23:00:00+00:00",
    )
    assert found["data_source"] == "generated candles, seed 0"
    assert (found["seed"], found["backend"], found["synthetic"]) == (0, backend.name, True)
    assert found["engine_hash"] == engine_hash(config.strategy)


def test_the_way_to_an_exchange_is_no_part_of_a_result():
    words = ["market=btc_binance_5m", "optimizer=random", "data=ccxt"]
    secret = [*words, "data.proxy=http://me:secret@host:1", "data.ca=authorities.pem"]
    plain, proxied = (load(given, TrainConfig, "train") for given in (words, secret))
    assert config_hash(proxied) == config_hash(plain)
    assert description(proxied) == description(plain)
    assert "secret" not in repr(proxied)
