"""The address that fills the form in as a job was asked for, and mistakes in the form's words."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from pydantic import ValidationError

from pipeline.market_data.store.inventory import StoredMarket
from pipeline.report.shell import macro
from pipeline.results.database import open_database
from pipeline.web.service import composing
from pipeline.web.service.requests import History, TrainingRequest, WalkForward
from pipeline.web.studio.pages.candles import training_link
from pipeline.web.studio.widgets.again import address_of_all
from pipeline.web.studio.widgets.form import _from_word, _plain, label, written
from pipeline.web.studio.widgets.mistakes import in_labels, mark
from support.serving import service_over


def words_of(job, **changes):
    """The words of the address that asks for a job again, its data changed."""
    changed = replace(job, config=job.config | {"data": job.config["data"] | changes})
    market = (job.exchange, job.pair, job.timeframe)
    address = address_of_all(changed, [market], [job.strategy], composing.choices().markets)
    return dict(parse_qsl(address[2:]))


@pytest.fixture
def job(tmp_path):
    """The job that a request makes."""

    def made(**request):
        with service_over(tmp_path) as service:
            (job_id,) = service.start_training(TrainingRequest(**request)).job_ids
            with open_database(service.settings.storage.url) as repository:
                return repository.jobs.read(job_id)

    return made


@pytest.fixture
def asked(job):
    """The words of the address of a job that a request makes."""
    return lambda **request: words_of(job(**request))


def test_an_address_says_what_was_asked_for(asked):
    words = asked(
        markets=["btc_binance_1h"],
        optimizer={"method": "random", "samples": 77},
        validation={"method": "rolling", "train": 60},
        history={"since": "2023-01-01", "until": "2024-01-01"},
        parameters={"stop_distance": [1.0, 2.5]},
        costs={"fee_rate": 0.0004},
        risk={"direction": "long"},
        quality={"outliers": 3},
        seed=9,
    )
    expected = {
        "exchange": "binance",
        "pair": "BTC/USDT",
        "timeframe": "1h",
        "method": "random",
        "samples": "77",
        "validation": "rolling",
        "train": "60",
        "since": "2023-01-01",
        "until": "2024-01-01",
        "p.stop_distance": "1, 2.5",
        "fee_rate": "0.0004",
        "direction": "long",
        "outliers": "3",
        "seed": "9",
    }
    assert words | expected == words
    assert not {"slippage", "flat_share"} & words.keys(), "the exchange's own"


def test_a_market_without_boxes_is_one_word(asked):
    words = asked(markets=["binance:DOGE/USDT:1h"], history={"days": 400})
    assert words["more"] == "binance:DOGE/USDT:1h"
    assert "exchange" not in words


def test_candles_that_the_form_cannot_take_have_no_market_and_it_says_so(job):
    real, demo = job(markets=["btc_binance_1h"]), job(markets=["demo"])
    for one, changes, lacks in (
        (real, {}, None),
        (real, {"source": "file", "path": "candles.csv"}, "file"),
        (real, {"surrogate": {"kind": "permuted", "seed": 0}}, "candles"),
        (real, {"source": "synthetic"}, "candles"),
        (demo, {"days": 90}, None),
        (demo, {"seed": 5}, "candles"),
        (demo, {"plant": None}, "candles"),
        (replace(demo, timeframe="1h"), {}, "candles"),
    ):
        words = words_of(one, **changes)
        assert words.get("lacks") == lacks, changes
        assert ("pair" in words, "more" in words) == (lacks is None, False)
    said = {
        lacks: macro("train.jinja", "left_out", lacks, []) for lacks in ("file", "candles", None)
    }
    assert ("data=file" in said["file"], "data.surrogate" in said["candles"]) == (True, True)
    assert said[None].strip() == ""


def test_of_several_strategies_all_are_named(job):
    asked = [("synthetic", "DEMO/USDT", "5m")] * 2
    names = ["liquidity_sweep", "donchian_breakout"]
    address = address_of_all(job(markets=["demo"]), asked, names, composing.choices().markets)
    words = dict(parse_qsl(address[2:]))
    assert (words["pair"], words["strategy"]) == ("DEMO/USDT", "liquidity_sweep")
    said = macro("train.jinja", "left_out", None, words["strategies"].split(","))
    assert "2 strategies: liquidity_sweep, donchian_breakout." in said


@pytest.mark.parametrize(("value", "word"), [(1e6, "1000000"), (0.05, "0.05"), (True, "true")])
def test_a_value_is_read_as_it_was_written(value, word):
    kind = {"type": "boolean"} if value is True else {"type": "number"}
    assert written(value) == word
    assert _from_word(word, kind) == value


@pytest.mark.parametrize("word", ["nan", "inf", "many", "1;2"])
def test_what_is_no_number_is_left_out(word):
    with pytest.raises(ValueError):  # noqa: PT011  (float's own)
        _from_word(word, _plain({"type": "integer"}))


def test_a_mistake_is_said_in_the_words_of_the_labels():
    names = {name: label(name) for name in (*History.model_fields, *WalkForward.model_fields)}
    refusal = "Ask for more history or shorten validation.train and validation.test."
    said = in_labels(refusal)
    assert said == "Ask for more history or shorten “train, days” and “test, days”."
    controls = dict.fromkeys(names)
    with pytest.raises(ValidationError) as caught:
        History(since="2024-01-01", until="2023-01-01")
    (sentence,) = mark(caught.value, controls, names)
    assert sentence == "“up to, not included (UTC)” must be after “from (UTC)”."
    with pytest.raises(ValidationError) as caught:
        TrainingRequest(markets=["demo", "DOGE/USDT 5m"])
    (sentence,) = mark(caught.value, {}, {})
    assert sentence.startswith(
        "Markets: “DOGE/USDT 5m” cannot be read: write EXCHANGE:SYMBOL:TIMEFRAME such as okx:DOGE"
    )
    with pytest.raises(ValidationError) as caught:
        WalkForward(train=0, gap=None)
    assert mark(caught.value, controls, names) == [
        "Train, days: at least 1.",
        "Gap, days: a value is needed.",
    ]


def test_settings_of_the_command_line_are_said_as_the_form_has_them():
    for refusal, said in (
        ("validation.train=3 validation.step=null", "“train, days” 3 and “step, days” empty"),
        ("or data.history=4y.", "or “newest span” 4y."),
        ("data.path=x is no market.base=ETH market.quote=USDT, or", "x is no ETH/USDT, or"),
        ("no market.timeframe, market.timeframe=1h", "no timeframe, timeframe 1h"),
        ("data.quality.outliers, validation=rolling", "“outliers”, “windows” rolling"),
        ("x: outliers 3 (limit 0), 1 more", "x: “outliers” 3 (limit 0), 1 more"),
        ("data.plant.sharpe=9", "data.plant.sharpe=9"),
        ("data.plant.costs.slippage", "data.plant.costs.slippage"),
        ("data.market.timeframe=1h", "data.market.timeframe=1h"),
        ("scripts/fetch market=MARKET import=PATH", "scripts/fetch market=MARKET import=PATH"),
        ("use validation=train_test_split.", "use “windows” train test split."),
        (
            "max_train, validation.max_train=null",
            "“train at most, days”, “train at most, days” empty",
        ),
    ):
        assert in_labels(refusal) == said


@pytest.mark.parametrize(
    ("named", "which"),
    [(True, "exchange=kraken&pair=BTC/USD&timeframe=4h"), (False, "more=kraken:BTC/USD:4h")],
)
def test_stored_candles_are_trained_on_their_whole_days(named, which):
    hour = 3_600_000
    day = 24 * hour
    folder = Path("kraken", "BTC_USD", "4h")
    rest = (0, (), (), (), None, None, None, folder)
    market = ("kraken", "BTC/USD", "4h")

    def address(first, last, *holes):
        one = StoredMarket(*market, 9, first, last, 0, 0, holes, *rest)
        text, href = training_link(one, {market} if named else set()) or ("", None)
        assert text.endswith(", the longest part without a hole") == bool(text and holes)
        days = text.split()[2:5:2]
        assert not text or (days[0], int(days[1][8:10]) + 1) == (href[-27:-17], int(href[-2:]))
        return href

    assert address(day + 4 * hour, 9 * day + 20 * hour) == (
        f"/?{which}&since=1970-01-03&until=1970-01-11"
    )
    assert address(day, 9 * day) == f"/?{which}&since=1970-01-02&until=1970-01-10"
    assert address(day + 4 * hour, 2 * day + 4 * hour) is None
    assert address(None, None) is None
    holes = (2 * day, 2 * day + 4 * hour), (5 * day, 6 * day)
    assert address(day, 8 * day, *holes) == f"/?{which}&since=1970-01-07&until=1970-01-09"
    holes = (2 * day, 2 * day + 4 * hour), (7 * day, 7 * day + 4 * hour)
    assert address(day, 8 * day, *holes) == f"/?{which}&since=1970-01-04&until=1970-01-08"
