"""The controls of the training form: what they read is what a request takes."""

import re
from datetime import UTC, datetime
from importlib.resources import files
from types import SimpleNamespace

import pytest
from nicegui import Client
from nicegui.page import page
from pydantic import ValidationError

from pipeline.config import OptimizerConfig, ValidationConfig, meanings
from pipeline.config.data import QualityConfig
from pipeline.report.shell import macro
from pipeline.report.spread import WHITE, luminance
from pipeline.web.service.answers import ParameterChoice
from pipeline.web.service.composing import choices, strategy_choice
from pipeline.web.service.estimates import _dear, _is_unfit
from pipeline.web.service.requests import (
    Bayesian,
    History,
    Quality,
    Random,
    Risk,
    TradeCosts,
    TrainingRequest,
    TrainTestSplit,
    WalkForward,
)
from pipeline.web.service.starts import EstimateAnswer, MarketEstimate
from pipeline.web.studio.frame import COLOURS, with_links
from pipeline.web.studio.widgets.candle_forms import market_select
from pipeline.web.studio.widgets.estimate import is_worth_it, taken
from pipeline.web.studio.widgets.form import (
    Fields,
    Grids,
    MistakeError,
    _from_word,
    _is_readable,
    _plain,
    _read,
    _typed,
    _written,
    fitting,
    mismatch_of,
    written,
)
from pipeline.web.studio.widgets.mistakes import _LABELS, HINTS

_QUASAR = (files("nicegui") / "static/quasar.unimportant.css").read_text("utf-8")


def test_the_address_of_a_job_in_a_refusal_is_a_link_and_nothing_else_is():
    at = f"/jobs/{'0a' * 16}"
    said = with_links(f"It runs as job 1: see {at}. <b> is {at}/x or x{at}?")
    assert said.count(f'<a href="{at}">{at}</a>') == 2
    assert "&lt;b&gt;" in said
    assert with_links("No address, as in /jobs/LIST.") == "No address, as in /jobs/LIST."


@pytest.mark.parametrize(
    ("kind", "ink"),
    [("positive", WHITE), ("negative", WHITE), ("info", WHITE), ("warning", "#1d1d1d")],
)
def test_every_message_of_the_corner_can_be_read(kind, ink):
    """Quasar writes in white, of a warning alone in its dark."""
    default = _QUASAR.split(f"--q-{kind}:")[1].strip()[:7]

    def light(colour):
        return luminance(tuple(bytes.fromhex(colour[1:]))) + 0.05

    low, high = sorted((light(COLOURS.get(kind, default)), light(ink)))
    assert high / low >= 4.5


def _schema(model, name):
    return _plain(model.model_json_schema()["properties"][name])


@pytest.mark.parametrize(
    ("value", "held"),
    [("500", 500), (" 0", 0), ("1.5", "1.5"), ("9" * 100, "9" * 100), (None, None), ("", None)],
)
def test_a_whole_number_is_an_int_and_nothing_is_none(value, held):
    typed = _typed(value, _schema(Random, "samples"))
    assert typed == held
    assert type(typed) is type(held)


@pytest.mark.parametrize("seed", [9007199254740993, 12345678901234567, 2**63 - 1])
def test_a_whole_number_of_an_address_is_the_one_that_is_asked_for(seed):
    kind = _schema(TrainingRequest, "seed")
    assert _typed(_from_word(written(seed), kind), kind) == seed


def test_every_whole_number_has_a_control_that_keeps_its_digits():
    models = (Random, Bayesian, WalkForward, TrainTestSplit, History, Quality, Risk)
    with Client(page("/"), request=None):
        for model in models:
            fields = Fields(model, lambda: None, without=("method",))
            for name, schema in fields._schemas.items():
                if _plain(schema)["type"] == "integer":
                    fields.take({name: "9007199254740993"})
                    assert fields.values()[name] == 9007199254740993


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        (History, {"since": "0001-01-01"}, "From (UTC): 2009-01-03 or later."),
        (History, {"until": "2100-01-02"}, "Up to, not included (UTC): 2100-01-01 or earlier."),
        (History, {"until": "2023-02-29"}, "(UTC): a day that there is, such as 2024-01-31."),
        (
            History,
            {"length": "9x"},
            "Newest span: must be a length such as 4y, 18mo, 26w or 90d, or all.",
        ),
        (Risk, {"leverage": 1001.0}, "Leverage: at most 1,000."),
        (Random, {"samples": "1e3"}, "Combinations a search: a whole number."),
        (Random, {"samples": "9" * 99}, "Combinations a search: at most 10,000,000."),
    ],
)
def test_a_mistake_says_what_is_allowed(model, words, said):
    with Client(page("/"), request=None):
        fields = Fields(model, lambda: None, without=("method",))
        for name, word in words.items():
            fields._controls[name].value = word
        more = {"method": "random"} if model is Random else {}
        with pytest.raises(MistakeError, match=re.escape(said)):
            fields.request(**more)


@pytest.mark.parametrize(("line", "said"), [("1e20", "at most "), ("-1e20", "at least -")])
def test_a_value_of_a_grid_beyond_its_bounds_is_said_at_its_line(line, said):
    with Client(page("/"), request=None):
        grids = Grids(strategy_choice("liquidity_sweep").parameters, lambda: None)
        grids.take({"stop_distance": line})
        with pytest.raises(ValidationError) as caught:
            TrainingRequest(markets=["demo"], **grids.values())
        assert grids.mark(caught.value) == [f"“stop_distance”: {said}1,000,000,000."]
        assert grids._inputs["stop_distance"].error == f"{said}1,000,000,000"


def test_bounds_come_from_the_request():
    samples = _schema(Random, "samples")
    assert (samples["minimum"], samples["maximum"]) == (1, 10_000_000)
    assert _schema(WalkForward, "step")["maximum"] == 3650


def test_what_costs_has_fine_steps_and_no_control_is_without_a_kind():
    assert _plain(_schema(TradeCosts, "maker_fee"))["exclusiveMinimum"] == -1
    for model in (TradeCosts, Risk):
        assert all("type" in _schema(model, name) for name in model.model_fields)


def test_every_choice_has_a_sentence():
    assert meanings(OptimizerConfig).keys() == set(choices().optimizers)
    assert meanings(ValidationConfig).keys() == set(choices().validations)


def test_a_grid_is_written_and_read_back():
    grid = [None, 0.0005, 2.0, 150.0]
    assert _written(grid) == "off, 0.0005, 2, 150"
    assert _read(_written(grid)) == grid


@pytest.mark.parametrize("written", ["", "1,", "a", "nan", "inf", "1;2", "__import__"])
def test_what_is_no_list_of_numbers_is_refused(written):
    assert not _is_readable(written)


def test_the_shipped_grids_survive_being_shown():
    for word in choices().strategies:
        for parameter in strategy_choice(word).parameters:
            assert isinstance(parameter, ParameterChoice)
            assert _read(_written(parameter.grid)) == parameter.grid


@pytest.mark.parametrize(
    ("trades", "refused", "worth"), [(0.4, None, False), (0.6, None, True), (9.0, "too few", False)]
)
def test_a_market_without_a_trade_to_expect_is_not_worth_a_start(trades, refused, worth):
    market = MarketEstimate(market="demo", name="demo", expected_trades=trades, refused=refused)
    assert is_worth_it(market) is worth
    assert not is_worth_it(market.model_copy(update={"unfit": True}))


@pytest.mark.parametrize(
    ("concurrent", "searched", "said"),
    [(1, 70, "About 6 s, up to 83 s"), (2, 70, "About 6 s, up to 73 s"), (1, 0, "About 6 s")],
)
def test_the_time_of_a_start_has_the_surrogates_as_its_bound(concurrent, searched, said):
    one = MarketEstimate(market="demo", name="demo", seconds=3, surrogate_seconds=searched)
    rest = dict.fromkeys(("combinations", "evaluations", "memory_bytes"), 1)
    refused = one.model_copy(update={"refused": "too few"})
    other = one.model_copy(update={"surrogate_seconds": searched / 10})
    answer = EstimateAnswer(
        markets=[one, other, refused],
        seconds=6,
        concurrent=concurrent,
        backend="numba",
        warnings=[],
        **rest,
    )
    assert taken(answer) == said


def test_an_estimate_shows_each_market_with_what_a_start_fetches():
    day = datetime(2024, 1, 1, tzinfo=UTC)
    numbers = {"combinations": 12_000, "windows": 1, "evaluations": 24_000, "bars": 8_760}
    one = MarketEstimate(
        market="btc_binance_1h", name="binance:BTC/USDT:1h", memory_bytes=3_000_000, **numbers
    )
    other = one.model_copy(update={"name": "no:NO/NO:1h", "refused": "x", "stored": (day, day)})
    rows = [(one, "3 s", "", "", ""), (other, "cannot", "a <b>", "Stored. ", "/candles?fetch=x")]
    answer = SimpleNamespace(backend="numba", **numbers | {"memory_bytes": 3_000_000})
    shown = macro("train.jinja", "estimate", answer, "About 3 s", "1 market", ["careful"], rows)
    assert "in 1 window and at the end: 24,000 evaluations on 8,760 bars, 3 MB." in shown
    assert shown.count("<details>") == 2
    assert (shown.count("/candles?fetch=x"), shown.count("a &lt;b&gt;")) == (1, 1)
    assert shown.count('role="alert">careful<') == 1


@pytest.mark.parametrize(
    ("quality", "fetched", "unfit"),
    [
        ("ok", 0, False),
        ("filled_share 0.06 (limit 0.02)", 0, True),
        ("filled_share 0.06 (limit 0.02)", 60, False),
        ("filled_share 0.06 (limit 0.02), flat_share 0.1 (limit 0.05)", 60, True),
        ("flat_share 0.1 (limit 0.05)", 500, False),
        ("outliers 1 (limit 0)", 99, True),
    ],
)
def test_candles_are_unfit_where_what_is_fetched_cannot_mend_them(quality, fetched, unfit):
    assert _is_unfit(SimpleNamespace(quality=quality, bars=1000), fetched) is unfit


@pytest.mark.parametrize(
    ("ticks", "count", "said"),
    [
        ("synthetic;DEMO/USDT,NOEDGE/USDT;1h", 0, ("the timeframe 5m instead.",)),
        ("synthetic;BTC/USDT;5m", 0, ("exchange binance or kraken,", "DEMO/USDT or NOEDGE/USDT")),
        ("synthetic;BTC/USDT;9m", 0, ("Tick others instead.",)),
        ("synthetic;DEMO/USDT,NOEDGE/USDT;5m,15m,1h", 2, ("No market has 15m or 1h with",)),
        ("synthetic,binance;DEMO/USDT,BTC/USDT;5m,1h", 3, ()),
        ("synthetic;;1h", 0, ()),
    ],
)
def test_ticks_that_make_no_market_are_named_with_those_that_would(ticks, count, said):
    rows = (row.split(",") if row else [] for row in ticks.split(";"))
    ticked = dict(zip(("exchange", "pair", "timeframe"), rows, strict=True))
    assert len(fitting(choices().markets, ticked)) == count
    mismatch = mismatch_of(choices().markets, ticked)
    assert all(word in mismatch for word in said)
    assert bool(mismatch) is bool(said)


def test_every_limit_of_the_candles_has_a_field_and_a_label():
    limits = QualityConfig.model_fields.keys() - {"duplicates", "out_of_order"}  # no limit is set
    assert Quality.model_fields.keys() == limits
    assert limits <= _LABELS.keys()


def test_a_market_is_chosen_by_the_name_that_pages_show():
    names = {"binance:BTC/USDT:1h": "btc_binance_1h", "kraken:ETH/USDT:4h": "eth_kraken_4h"}
    linked_to = ["btc_binance_1h", "okx:DOGE/USDT:30m"]
    with Client(page("/"), request=None):
        control = market_select(names, linked_to, several=True)
        assert control.options == [*names, "okx:DOGE/USDT:30m"]
        assert control.value == ["binance:BTC/USDT:1h", "okx:DOGE/USDT:30m"]
        assert market_select(names, [], several=False).value is None


def test_every_fraction_of_the_form_says_its_unit_and_no_label_is_cut():
    assert HINTS.keys() <= _LABELS.keys()
    assert max(map(len, _LABELS.values())) <= 31
    with Client(page("/"), request=None):
        controls = Fields(TradeCosts, lambda: None)._controls
    assert all("fraction of the " in control.props["hint"] for control in controls.values())


@pytest.mark.parametrize(
    ("fee", "slippage", "said"),
    [
        (0.1, 0.0005, ["fee of 0.1 is 10 % of every order, and its own is 0.1 %: write 0.001"]),
        (0.001, 0.05, ["slippage of 0.05 is 5 % of every order, and its own is 0.05 %"]),
        (0.01, 0.005, []),
    ],
)
def test_a_cost_of_more_than_ten_times_the_exchanges_is_warned_of(fee, slippage, said):
    exchange = SimpleNamespace(name="binance", fee_rate=0.001, slippage=0.0005)
    config = SimpleNamespace(
        costs=SimpleNamespace(fee_rate=fee, slippage=slippage),
        market=SimpleNamespace(exchange=exchange),
    )
    warned = list(_dear([config]))
    assert len(warned) == len(said)
    assert all(part in line for part, line in zip(said, warned, strict=True))
