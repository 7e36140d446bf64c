"""`scripts/monitor`: newer candles, an event, a stage that may fall."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from gpu_engine import Window, choose, marked_metrics
from pipeline import explain, monitor, verify
from pipeline.config import SimulationConfig, TrainConfig, load, validate
from pipeline.errors import UnreachableError
from pipeline.market_data.exchange import fetching
from pipeline.market_data.exchange.connection import Backoff
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import PRICES
from pipeline.results.artifacts.artifact_set import read_artifacts
from pipeline.results.document.document import validate_document
from pipeline.review import monitoring
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.registry import load_strategy
from support.databases import later_events
from support.loopback import LoopbackBinance, candle_series
from support.loopback.faults import Fault
from support.runs import QUICK, ask, place_empty_database, run
from support.stored import BARS_A_DAY, DAYS, TRAINED_BARS, command, fading_candles, write


def events_of(finished):
    identity = finished.result["configuration_id"]
    return ask(finished.folder, lambda repository: later_events(repository, identity))


@pytest.fixture
def grown(fading):
    """The same file, 90 days later: the edge has gone."""
    write(fading.folder / "candles.parquet", fading_candles())
    return fading


def monitored(folder, *arguments):
    finished = command(monitor, folder, "--json", *arguments)
    assert "Traceback" not in finished.err
    return finished, json.loads(finished.out)["configurations"] if finished.out else []


def test_an_edge_that_went_is_decay(grown):
    _, (outcome,) = monitored(grown.folder)
    assert (outcome["from_stage"], outcome["to_stage"]) == ("VALIDATION", "DECAY")
    assert (outcome["recorded"], outcome["skipped"]) == (True, None)
    figures = outcome["figures"]
    assert (figures["first_day"], figures["last_day"]) == ("2023-06-20", "2023-09-17")
    assert figures["new"]["n_days"] == DAYS - 170
    assert figures["new"]["sample_size"] >= 30
    assert figures["new"]["net_profit"] < 0
    (row,) = grown.configurations
    (event,) = events_of(grown)
    stages = (row.lifecycle_stage, event.from_stage, event.to_stage)
    assert stages == ("DECAY", "VALIDATION", "DECAY")
    assert (event.kind, event.reason) == ("monitor", outcome["reason"])
    assert event.figures == figures
    assert event.reason.startswith("Sharpe ratio of the last 30 days -")


def test_the_document_follows_and_the_evidence_stays(grown):
    (before,) = grown.configurations
    monitored(grown.folder)
    (after,) = grown.configurations
    validate_document(after.document)
    assert (after.document["status"], before.document["status"]) == ("DECAY", "VALIDATION")
    sizes = after.document["risk_allocation"]
    assert (sizes["max_position_size"], sizes["current_allocation"]) == (0.0, 0.0)
    health = after.document["pattern_health"]
    signs = ("rolling_30d_sharpe", "net_profit_per_day", "sequential_p")
    assert health["death_signals"] == dict.fromkeys(signs, True)
    assert health["death_signal_count"] == 3
    assert health["performance_degradation"] > 0.2
    for section in ("performance", "statistical_validation", "in_sample", "parameters"):
        assert after.document[section] == before.document[section]
    assert (after.gates, after.out_of_sample) == (before.gates, before.out_of_sample)


def test_new_figures_are_of_the_stored_parameters_on_the_new_days(grown):
    _, (outcome,) = monitored(grown.folder)
    (job,), (row,) = grown.jobs, grown.configurations
    values = {
        name: job.config[name] for name in SimulationConfig.model_fields if name in job.config
    }
    config = validate(values, SimulationConfig)
    candles, _ = make_regular(read_file(grown.folder / "candles.parquet"), "15m", "again")
    space = single_point(load_strategy("liquidity_sweep"), row.parameters)
    evaluator = Evaluator(
        candles, space, config.costs.record(), config.risk.limits(), choose().backend
    )
    window = Window(TRAINED_BARS, DAYS * BARS_A_DAY)
    point = space.point(row.parameters)
    trades = evaluator.trades(point, window)
    new = evaluator.marked_returns(trades, window)
    metrics = marked_metrics(config.risk.position_fraction * trades["ret"], new)
    for name, value in outcome["figures"]["new"].items():
        assert value == pytest.approx(metrics[name], rel=1e-9), name
    artifacts = read_artifacts(grown.folder / "var/artifacts", row.id)
    daily = np.concatenate((artifacts.out_of_sample.returns, new))
    lifetime = outcome["figures"]["lifetime"]
    assert lifetime["n_days"] == len(daily)
    assert lifetime["net_profit"] == pytest.approx(np.prod(1 + daily) - 1, rel=1e-9)


def test_the_same_candles_are_recorded_once(grown):
    monitored(grown.folder)
    finished, (outcome,) = monitored(grown.folder)
    assert finished.status == 0
    assert outcome["recorded"] is False
    assert (outcome["from_stage"], outcome["to_stage"]) == ("DECAY", "DECAY")
    assert len(events_of(grown)) == 1


def test_what_was_monitored_is_still_verified_and_explained(grown):
    monitored(grown.folder)
    assert command(verify, grown.folder, "latest").status == 0
    told = command(explain, grown.folder, "latest").out
    assert "DECAY, size 0: it earned once, and stopped on newer candles: trade nothing." in told
    assert "Monitoring lowered it from VALIDATION to DECAY on " in told
    assert "What came since\n- 90 new days, 2023-06-20 to 2023-09-17: net -" in told
    assert "Sequential test: ALARM on 2023-" in told


def test_more_days_are_another_event(fading):
    columns = fading_candles()
    for days in (190, DAYS):
        write(fading.folder / "candles.parquet", columns, end=days * BARS_A_DAY)
        monitored(fading.folder)
    first, second = events_of(fading)
    assert first.figures["last_day"] == "2023-07-09"
    assert first.to_stage == "VALIDATION"
    assert first.reason.endswith("new trades; 30 are needed to call it decay.")
    assert second.to_stage == "DECAY"
    bands = [event.figures["live_band"] for event in (first, second)]
    assert bands[0]["limit"] == bands[1]["limit"]
    assert (bands[0]["alarm_day"], bands[1]["alarm_day"] > 20) == (None, True)


def test_a_look_at_fewer_days_is_kept_and_not_shown(fading):
    """The document's health, the page and the sentences stay those of the 90 days."""
    columns, path = fading_candles(), fading.folder / "candles.parquet"
    write(path, columns)
    monitored(fading.folder)
    (before,) = fading.configurations
    write(path, columns, end=190 * BARS_A_DAY)
    _, (outcome,) = monitored(fading.folder)
    assert (outcome["recorded"], outcome["figures"]["reached"]) == (True, "2023-09-17")
    long, short = events_of(fading)
    assert (long.figures["last_day"], short.figures["last_day"]) == ("2023-09-17", "2023-07-09")
    assert "reached" not in long.figures
    (after,) = fading.configurations
    assert after.document["pattern_health"] == before.document["pattern_health"]
    told = command(explain, fading.folder, "latest").out
    assert "- 90 new days, 2023-06-20 to 2023-09-17: net -" in told
    assert command(verify, fading.folder, "latest").status == 0


def test_an_unfinished_day_does_not_count(fading):
    write(fading.folder / "candles.parquet", fading_candles(), end=190 * BARS_A_DAY + 50)
    _, (outcome,) = monitored(fading.folder)
    assert outcome["figures"]["last_day"] == "2023-07-09"
    hash_then = outcome["figures"]["data_hash"]
    write(fading.folder / "candles.parquet", fading_candles(), end=190 * BARS_A_DAY + 60)
    _, (outcome,) = monitored(fading.folder)
    assert (outcome["recorded"], outcome["figures"]["data_hash"]) == (False, hash_then)


def test_nothing_new_is_said_and_no_mistake(fading):
    finished, (outcome,) = monitored(fading.folder)
    assert finished.status == 0
    assert outcome["skipped"].startswith("no full UTC day after 2023-06-19; the candles end with")
    assert events_of(fading) == []


def test_newer_candles_of_another_file_get_the_trained_ones_in_front(fading):
    columns = fading_candles()
    write(fading.folder / "newer.parquet", columns, start=TRAINED_BARS)
    data = ("latest", "data=file", "data.path=newer.parquet")
    _, (apart,) = monitored(fading.folder, *data)
    write(fading.folder / "candles.parquet", columns)
    _, (whole,) = monitored(fading.folder)
    assert apart["figures"] == whole["figures"]
    assert (apart["recorded"], whole["recorded"]) == (True, False)


def test_a_hole_between_both_is_left_out(fading):
    columns = fading_candles()
    write(fading.folder / "newer.parquet", columns, start=TRAINED_BARS + 3 * BARS_A_DAY)
    data = ("latest", "data=file", "data.path=newer.parquet")
    _, (outcome,) = monitored(fading.folder, *data)
    assert outcome["figures"]["first_day"] == "2023-06-23"
    assert outcome["figures"]["new"]["n_days"] == DAYS - 173


def test_a_hole_that_begins_within_a_day_is_left_out_with_that_day(fading):
    columns = fading_candles()
    write(fading.folder / "candles.parquet", columns, end=TRAINED_BARS + 25)
    write(fading.folder / "newer.parquet", columns, start=TRAINED_BARS + 3 * BARS_A_DAY)
    data = ("latest", "data=file", "data.path=newer.parquet")
    _, (outcome,) = monitored(fading.folder, *data)
    assert outcome["figures"]["first_day"] == "2023-06-23"
    assert outcome["figures"]["new"]["n_days"] == DAYS - 173


def test_without_the_trained_candles_the_newer_stand_alone(fading):
    write(fading.folder / "newer.parquet", fading_candles(), start=TRAINED_BARS)
    (fading.folder / "candles.parquet").unlink()
    finished, (outcome,) = monitored(
        fading.folder, "latest", "data=file", "data.path=newer.parquet"
    )
    assert finished.status == 0
    assert outcome["figures"]["first_day"] == "2023-06-20"
    assert "Indicators begin with the newer candles." in finished.err


def test_a_file_of_another_market_is_refused(fading):
    columns = {n: c * (2.0 if n != "timestamp" else 1) for n, c in fading_candles().items()}
    write(fading.folder / "newer.parquet", columns, start=TRAINED_BARS)
    finished, (outcome,) = monitored(
        fading.folder, "latest", "data=file", "data.path=newer.parquet"
    )
    assert finished.status == 2
    assert outcome["skipped"].startswith("The newer candles do not go on from the trained ones:")
    assert events_of(fading) == []


def test_another_market_with_a_price_in_common_is_refused(fading):
    columns = fading_candles()
    start = TRAINED_BARS - 30 * BARS_A_DAY
    drift = np.exp(1e-4 * (np.arange(DAYS * BARS_A_DAY) - start))  # 0 at the first common candle
    other = {n: c * (drift if n in PRICES else 1) for n, c in columns.items()}
    write(fading.folder / "newer.parquet", other, start=start)
    finished, (outcome,) = monitored(
        fading.folder, "latest", "data=file", "data.path=newer.parquet"
    )
    assert finished.status == 2
    assert "prices are 0.144 apart (log difference; over 2,880 common" in outcome["skipped"]
    assert events_of(fading) == []


def test_generated_candles_are_skipped_and_say_why(here):
    trained = here(*QUICK, "optimizer=random", "validation.evidence=deciding")
    finished = command(monitor, trained.folder)
    assert finished.status == 0
    assert "skipped: generated candles: nothing comes after them" in finished.out
    assert "0 of 1 configurations looked at, 0 moved to another stage." in finished.out


def test_nothing_stored_is_said_with_what_to_do_next(tmp_path):
    place_empty_database(tmp_path / "var/trainings.db")
    finished = command(monitor, tmp_path)
    assert finished.status == 0
    assert finished.out == "No configuration is stored in this database: train a market first.\n"


@pytest.mark.parametrize(("named", "status"), [((), 0), (("latest",), 2)])
def test_lost_candles_are_a_mistake_where_the_configuration_was_named(fading, named, status):
    (fading.folder / "candles.parquet").unlink()
    finished = command(monitor, fading.folder, *named)
    assert finished.status == status
    assert "skipped: The candles of " in finished.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("data=file", "data.path=x.parquet"), "name the configurations it is for."),
        (("latst",), "No configuration has the id latst. The newest is LIQUIDITY_SWEEP_V3_"),
        (("storage.url=sqlite:///none.db",), "There is no database none.db"),
    ],
)
def test_mistakes_are_answered_before_anything_is_done(grown, arguments, sentence):
    finished = command(monitor, grown.folder, *arguments)
    assert (finished.status, finished.out) == (2, "")
    assert sentence in finished.err
    assert events_of(grown) == []


def test_an_exchange_that_gives_no_answer_is_asked_for_one_configuration(tmp_path, monkeypatch):
    words = ("market=btc_binance_5m", f"data.store={tmp_path}")
    simulation = load(words, TrainConfig, "train")
    span = {"first_candle": "2023-01-01T00:00:00+00:00", "last_candle": "2023-01-02T00:00:00+00:00"}
    away, refused = set(), []
    monkeypatch.setattr(fetching, "Backoff", partial(Backoff, attempts=3, first_s=0.01))
    with LoopbackBinance({"5m": candle_series(1_000)}, now=1_673_000_000_000) as exchange:
        monkeypatch.setattr(fetching, "new_client", lambda name: exchange.client())
        exchange.fail(*[Fault.UNAVAILABLE] * 20)
        for name in ("first", "second"):
            one = SimpleNamespace(id=name, exchange="binance", timeframe="5m", provenance=span)
            with pytest.raises(UnreachableError) as caught:
                monitoring._candles(one, simulation, lambda text: None, away)
            refused.append(str(caught.value))
            asked = len(exchange.requests)
            assert asked == 3
    assert "no answer in 3 attempts" in refused[0]
    assert refused[1].startswith("binance gave no usable answer before in this run")
    assert away == {"binance"}


def test_the_real_command(grown):
    finished = run(grown.folder, module="pipeline.monitor")
    progress = [line for line in finished.err.splitlines() if "configurations: " not in line]
    assert (finished.status, progress) == (0, [])  # a busy machine shows how far it is
    assert ": VALIDATION -> DECAY\n" in finished.out
    assert finished.out.endswith("1 of 1 configurations looked at, 1 moved to another stage.\n")
