"""What is kept of a composition: the same as Hydra's own, until a file of `conf` changes."""

import shutil

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from pipeline.config import CONFIG_DIR, catalogue, compositions
from pipeline.config.settings import quoted
from pipeline.config.strategy_choice import register


def of_hydra(words, config_name="train"):
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return hydra.compose(config_name, words)


def plain(config):
    return OmegaConf.to_container(config, resolve=False)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=3", "market=btc_kraken_1h", "costs.fee_rate=0.002", "optimizer=random"],
        ["seed=1", "seed=2", "optimizer.samples=5", "optimizer=random"],
        ["market=okx:DOGE/USDT:30m", "data=file", "data.path='a b'"],
        ["+market.settle=USDT", "++seed=4", "~costs.fee_rate", "market=btc_binance_5m"],
        ["strategy=donchian_breakout", "strategy.parameters.stop_distance=[1,2]"],
        ["example@data.plant.parameters=supply_shock", "market=demo", "backend.devices=[0,1]"],
        ["data={days: 30}", "hydra.job.name=mine"],
        ["+data/quality@costs.quality=kraken", "market=demo_null"],
    ],
)
def test_it_is_what_hydra_composes(words):
    register()
    words = quoted(words)
    expected = of_hydra(words)
    for _ in range(2):  # made, then kept
        config = compositions.composed("train", words)
        assert plain(config) == plain(expected)
        assert OmegaConf.is_struct(config) == OmegaConf.is_struct(expected)


@pytest.mark.parametrize(
    "words",
    [
        ["optimiser=grid"],
        ["costs.fee=1"],
        ["storage=nowhere", "nothing=1"],
        ["+seed=1"],
        ["~seed=9"],
        ["seed=1,2"],
        ["+market=demo"],
        ["market@elsewhere=demo"],
        ["costs.fee_rate.x=1"],
    ],
)
def test_it_refuses_what_hydra_refuses(words):
    register()
    with pytest.raises(HydraException) as expected:
        of_hydra(words)
    for _ in range(2):
        with pytest.raises(type(expected.value)) as refused:
            compositions.composed("train", words)
        assert str(refused.value) == str(expected.value)


def test_what_a_caller_changes_is_its_own():
    register()
    first = compositions.composed("train", [])
    first.costs.fee_rate = 0.5
    assert compositions.composed("train", []).costs.fee_rate != 0.5


def test_a_file_that_changes_is_read_again(tmp_path, monkeypatch):
    register()
    conf = tmp_path / "conf"
    shutil.copytree(CONFIG_DIR, conf)
    monkeypatch.setattr(compositions, "CONFIG_DIR", conf)
    monkeypatch.setattr(catalogue, "CONFIG_DIR", conf)
    assert compositions.composed("train", ["optimizer=random", "seed=1"]).optimizer.samples != 77
    file = conf / "optimizer/random.yaml"
    file.write_text(file.read_text().replace("samples: ", "samples: 77 # "))
    assert compositions.composed("train", ["optimizer=random", "seed=1"]).optimizer.samples == 77
