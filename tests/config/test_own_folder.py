"""Markets in a folder of the user's own (``--config-dir``): names and patterns know them."""

import pytest

from pipeline.cli.arguments import Parser
from pipeline.config import FetchConfig, SweepConfig, TrainConfig, catalogue, load
from pipeline.config.catalogue import find_markets, search_path, select_markets
from pipeline.errors import UserError
from pipeline.sweep import compose

DOGE = """\
base: DOGE
quote: USDT
timeframe: 30m
exchange: {name: bybit, ccxt_id: bybit, fee_rate: 0.001, slippage: 0.0005, history_candles: null}
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "market").mkdir()
    (tmp_path / "market/doge_bybit_30m.yaml").write_text(DOGE)
    (tmp_path / "market/btc_bybit_30m.yaml").write_text(DOGE.replace("DOGE", "BTC"))
    parser = Parser("sweep", "", "", SweepConfig, "sweep")
    yield parser.read(["--config-dir", str(tmp_path)]).overrides
    catalogue.look_in(None)


def test_patterns_stand_for_them_beside_those_of_the_program(own):
    assert select_markets(["doge_*"]) == ["doge_bybit_30m"]
    assert select_markets(["btc_*_30m"]) == ["btc_bybit_30m"]
    assert len(select_markets(["all"])) == 26


def test_they_compose(own):
    assert own == search_path()
    (config,) = compose(["doge_bybit_30m"], own).values()
    assert config.market.id == "bybit:DOGE/USDT:30m"
    assert load(["market=doge_bybit_30m", *own], FetchConfig, "fetch").market == config.market
    assert find_markets(["doge_bybit_30m"])[0].pair == "DOGE/USDT"


def test_without_the_folder_they_are_unknown(own):
    Parser("sweep", "", "", SweepConfig, "sweep").read([])
    assert search_path() == []
    with pytest.raises(UserError, match="no market"):
        select_markets(["doge_*"])
    with pytest.raises(UserError, match="not a choice"):
        load(["market=doge_bybit_30m"], TrainConfig, "train")
