"""Rearranged real candles: what the run trains on, and that all of it says SYNTHETIC."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.surrogate_candles import rearranged
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search.backends import named_backend
from pipeline.training.candles import load_candles
from support.parameters import combination
from support.runs import SMALL_GRID

KINDS = ("permuted", "sign_flipped", "bar_flipped", "bootstrapped", "reversed")

PLANTED = combination(0.001, 3, 1.5, 0.5, 50, 1.0, 2.0)
VALUES = f"parameters: {json.dumps(PLANTED)}".replace('"', "")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    raw = synthetic_candles(200, "1h", seed=8)
    path = tmp_path_factory.mktemp("candles") / "binance_BTC-USDT_1h.parquet"
    pyarrow.parquet.write_table(pyarrow.table({n: getattr(raw, n) for n in COLUMNS}), path)
    return path


@pytest.fixture
def loaded(file):
    """The candles of the file, rearranged as asked."""

    def loaded(*overrides):
        words = ["market=btc_binance_1h", "data=file", f"data.path={file}", *overrides]
        config = load(words, TrainConfig, "train")
        strategy, backend = config.strategy.load(), named_backend("numpy")
        return load_candles(config.market, config.data, strategy, backend, lambda n: None)

    return loaded


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_draws_them(loaded, kind):
    real, drawn = loaded(), loaded(f"data.surrogate={{kind: {kind}, seed: 5}}")
    expected = rearranged(real.candles, kind, 5)
    assert drawn.candles.sha256 == expected.sha256 != real.candles.sha256
    assert (real.synthetic, drawn.synthetic) == (False, True)
    assert drawn.quality.source == f"{real.quality.source}, {kind} with seed 5"


def test_days_make_a_longer_history(loaded):
    drawn = loaded("data.surrogate={kind: bootstrapped, seed: 5, days: 900}")
    assert len(drawn.candles) == 24 * 900


def test_an_edge_is_planted_in_a_surrogate(loaded):
    surrogate = "data.surrogate={kind: bootstrapped, seed: 5, days: 900}"
    plant = f"data.plant={{sharpe: 2, costs: {{fee_rate: 0.001, slippage: 0}}, {VALUES}}}"
    bare, planted = loaded(surrogate), loaded(surrogate, plant)
    assert planted.synthetic
    assert planted.candles.sha256 != bare.candles.sha256
    assert (planted.candles.volume == bare.candles.volume).all()


def test_all_that_follows_says_so(here, file):
    real = ("market=btc_binance_1h", "data=file", f"data.path={file}", "min_trades=3")
    finished = here(*real, *SMALL_GRID, "data.surrogate={kind: permuted, seed: 1}")
    assert finished.status == 0
    assert finished.out.startswith("SYNTHETIC candles")
    assert finished.result["synthetic"] is finished.result["provenance"]["synthetic"] is True
    assert all(row.synthetic for row in finished.configurations)


@pytest.mark.parametrize(
    ("surrogate", "sentence"),
    [
        (
            "{kind: shuffled, seed: 0}",
            "must be permuted, sign_flipped, bar_flipped, bootstrapped or reversed; given",
        ),
        ("{kind: reversed, seed: 0, days: 9}", "surrogate.days is for kind bootstrapped alone"),
        ("{kind: permuted}", "data.surrogate.seed must be given"),
        ("{kind: permuted, seed: -1}", "data.surrogate.seed must be at least 0; given: -1."),
    ],
)
def test_what_cannot_be_is_refused(loaded, surrogate, sentence):
    with pytest.raises(UserError, match=sentence):
        loaded(f"data.surrogate={surrogate}")


def test_no_edge_is_planted_in_real_candles(loaded):
    with pytest.raises(UserError, match=r"data\.plant needs data\.surrogate"):
        loaded(f"data.plant={{sharpe: 2, {VALUES}}}")


def test_generated_candles_have_no_surrogate():
    """They have no edge to lose."""
    with pytest.raises(UserError, match=r"data\.surrogate is not a key"):
        load(
            ["market=demo_null", "+data.surrogate={kind: permuted, seed: 0}"], TrainConfig, "train"
        )
