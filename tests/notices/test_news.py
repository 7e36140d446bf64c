"""Every kind of event becomes one message, from the rows that are written anyway."""

from datetime import timedelta

import pytest
from sqlalchemy import text, update

from pipeline.notices.message import message_of
from pipeline.notices.sender import SHORT_LOOK
from pipeline.results.records import ConfigurationEvent, utc_now
from pipeline.results.rows.news import OLDEST
from pipeline.results.rows.outbox import KEPT
from pipeline.results.rows.sweeps import MarketSpec
from pipeline.results.tables.live_models import LiveEvent
from pipeline.results.tables.models import SweepRow

TARGET = "webhook 1"
MARKET = "binance:BTC/USDT:5m"


@pytest.fixture
def news(repository, config):
    """Return a function that reads what is new, keeps it, and returns its messages."""
    repository.outbox.begin(TARGET, config.events)

    def read(within=OLDEST):
        new = repository.outbox.news(TARGET, config.events, within)
        messages = [message_of(one) for one in new]
        repository.outbox.add(TARGET, [(n, m.body()) for n, m in zip(new, messages, strict=True)])
        assert repository.outbox.news(TARGET, config.events) == []
        return messages

    return read


@pytest.fixture
def job(repository, example_job):
    job_id = repository.jobs.create(**example_job)
    repository.jobs.start(job_id)
    return job_id


def brief(messages):
    return [(message.type, message.level, message.title) for message in messages]


def moved(configuration, before, after):
    return ConfigurationEvent(configuration.id, "monitor", before, after, "It lost.", {})


def test_a_training_and_what_becomes_of_its_configuration(repository, news, job, example):
    assert news() == []
    configuration = example(job)
    repository.configurations.save(configuration)
    (finished,) = news()
    assert brief([finished]) == [("job", "success", "Training finished: binance:BTC/USDT:5m")]
    assert finished.text == f"Stored as {configuration.id}, stage VALIDATION."
    assert finished.configuration == configuration.id
    repository.configurations.record_event(moved(configuration, "VALIDATION", "DISCOVERY"), dict)
    repository.configurations.record_event(moved(configuration, "DISCOVERY", "DECAY"), dict)
    assert brief(news()) == [
        ("stage", "info", f"VALIDATION -> DISCOVERY: {MARKET}"),
        ("decay", "failure", f"DISCOVERY -> DECAY: {MARKET}"),
    ]


def test_a_training_that_failed_or_found_nothing(repository, news, job, example_job):
    repository.jobs.fail(job, "The exchange did not answer.")
    other = repository.jobs.create(**example_job)
    repository.jobs.start(other)
    repository.jobs.complete(other)
    failed, empty = news()
    assert brief([failed]) == [("job", "failure", "Training failed: binance:BTC/USDT:5m")]
    assert failed.text == "The exchange did not answer."
    assert brief([empty]) == [("job", "info", "Training finished: binance:BTC/USDT:5m")]
    assert empty.configuration is None


def test_what_is_generated_says_so_first(repository, news, job, example):
    repository.configurations.save(example(job, synthetic=True))
    (message,) = news()
    assert message.synthetic
    assert message.title == "SYNTHETIC Training finished: binance:BTC/USDT:5m"
    assert message.text.endswith("stage SYNTHETIC VALIDATION.")


@pytest.fixture
def begun(repository):
    """Return a function that begins a sweep of jobs."""

    def begin(*jobs):
        asked = {"strategy": "liquidity_sweep", "optimizer": "grid", "config": {}, "since": None}
        asked |= {"until": utc_now(), "engine_version": "1", "has_artifacts": lambda _: True}
        specs = [MarketSpec(str(place), str(place), job) for place, job in enumerate(jobs)]
        return repository.sweeps.begin(key="5eed" * 16, markets=specs, **asked)

    return begin


GENERATED = {"config": {"data": {"source": "synthetic"}}}


def test_a_failure_on_generated_candles_says_so(repository, news, example_job):
    for data in ({"source": "synthetic"}, {"source": "file", "surrogate": "sign"}):
        repository.jobs.start(
            job := repository.jobs.create(**example_job | {"config": {"data": data}})
        )
        repository.jobs.fail(job, "It broke.")
    repository.jobs.start(job := repository.jobs.create(**example_job | GENERATED))
    repository.jobs.complete(job)
    told = news()
    assert [message.synthetic for message in told] == [True, True, True]
    assert [message.title for message in told] == [
        *["SYNTHETIC Training failed: binance:BTC/USDT:5m"] * 2,
        "SYNTHETIC Training finished: binance:BTC/USDT:5m",
    ]


def ended(repository, claim, example, *stages):
    """End the trainings of a sweep in their order; None is one that fails."""
    for position, stage in enumerate(stages):
        job = repository.sweeps.claim_market(claim, position)
        if stage is None:
            repository.jobs.fail(job, "It broke.")
        else:
            told = repository.jobs.read(job)
            p = {"p_value": 0.03, "surrogate_p": (0.04, 0.01, 0.02)[position]}
            own = {"pair": told.pair, "synthetic": told.synthetic, "statistics": p}
            repository.configurations.save(example(job, lifecycle_stage=stage, **own))
        repository.sweeps.settle(claim, position, "It broke.")
    repository.sweeps.end(claim, "completed")


def test_a_sweep_says_how_many_reached_a_stage_and_names_the_best(
    repository, news, begun, example_job, example
):
    jobs = [
        example_job | {"pair": pair, "strategy": strategy}
        for pair in ("BTC/USDT", "ETH/USDT")
        for strategy in ("liquidity_sweep", "donchian_breakout")
    ]
    claim = begun(*jobs)
    ended(repository, claim, example, "VALIDATION", "PAPER", "VALIDATION", None)
    (message,) = news()
    assert message.facts["markets"] == {"done": 3, "failed": 1}
    assert message.facts["market_count"] == 2
    assert message.facts["outcomes"] == {"VALIDATION": 2, "PAPER": 1, "failed": 1}
    best = message.facts["best"]
    assert (best["market"], best["stage"]) == ("binance:ETH/USDT:5m", "VALIDATION"), "smaller p"
    assert best["configuration"] == repository.sweeps.markets(claim.sweep_id)[2].configuration_id
    assert not message.synthetic
    assert message.text == (
        f"Sweep {claim.sweep_id} of liquidity_sweep: 4 trainings of 2 markets: 2 VALIDATION,"
        " 1 PAPER, 1 failed. Best: binance:ETH/USDT:5m with liquidity_sweep, VALIDATION."
    )


def test_a_sweep_of_generated_markets_says_so(repository, news, begun, example_job, example):
    jobs = [example_job | GENERATED | {"pair": pair} for pair in ("ONE/USDT", "TWO/USDT")]
    claim = begun(*jobs)
    ended(repository, claim, example, "MATURE", None)
    (message,) = news()
    assert message.synthetic
    assert message.title == "SYNTHETIC Sweep finished"
    assert message.text.endswith(
        "2 markets: 1 SYNTHETIC MATURE, 1 failed. Best: binance:ONE/USDT:5m, SYNTHETIC MATURE."
    )


def test_a_sweep_with_a_real_market_is_none_of_generated_ones(
    repository, news, begun, example_job, example
):
    claim = begun(example_job | GENERATED | {"pair": "ONE/USDT"}, example_job)
    ended(repository, claim, example, "MATURE", "PAPER")
    (message,) = news()
    assert not message.synthetic
    assert message.facts["outcomes"] == {"SYNTHETIC MATURE": 1, "PAPER": 1}
    assert message.facts["best"]["market"] == "binance:BTC/USDT:5m", "what says something"


def test_a_sweep_is_told_of_with_its_trainings_and_again_when_it_was_resumed(
    repository, news, begun, example_job
):
    claim = begun(*(example_job | {"pair": name} for name in ("one", "two")))
    for position in range(2):
        repository.jobs.fail(repository.sweeps.claim_market(claim, position), "It broke.")
        repository.sweeps.settle(claim, position, "It broke.")
    assert news() == [], "its trainings are its own"
    repository.sweeps.end(claim, "completed")
    (message,) = news()
    assert brief([message]) == [("sweep", "success", "Sweep finished")]
    assert message.facts["markets"] == {"failed": 2}
    assert message.facts["best"] is None
    assert message.text.endswith(": 2 markets: 2 failed.")
    later = utc_now() + timedelta(seconds=1)
    with repository.transaction() as session:
        session.execute(update(SweepRow).values(finished_at=later, status="failed"))
    assert brief(news()) == [("sweep", "failure", "Sweep failed")]


def test_the_journal_of_those_that_are_followed(repository, news):
    kinds = ["enter", "leave", "order", "stale", "fresh", "revised", "alarm", "stage", "service"]
    repository.live.note(LiveEvent(kind, f"{kind}.", market=MARKET) for kind in kinds)
    assert sorted(brief(news())) == [
        ("alarm", "failure", f"Live days fell out of the promise: {MARKET}"),
        ("enter", "info", f"Entered a position: {MARKET}"),
        ("leave", "info", f"Left a position: {MARKET}"),
        ("stale", "success", f"Candles are fresh again: {MARKET}"),
        ("stale", "warning", f"Candles are stale: {MARKET}"),
    ]


def test_a_check_is_told_of_where_it_found_something(repository, news, job, example):
    configuration = example(job)
    repository.configurations.save(configuration)
    news()
    for difference in ("", "trade 3 has another exit"):
        event = LiveEvent("check", f"said: {difference}", configuration.id)
        repository.live.record_check(configuration.id, difference, event)
    (ledger,) = news()
    title = f"The paper ledger found a difference: {MARKET}"
    assert brief([ledger]) == [("check", "failure", title)]
    assert ledger.facts["difference"] == "trade 3 has another exit"


def test_what_is_followed_on_generated_candles_says_so(repository, news, job, example):
    configuration = example(job, synthetic=True)
    repository.configurations.save(configuration)
    news()
    repository.live.note([LiveEvent("enter", "Long at 100.", configuration.id)])
    (message,) = news()
    assert message.synthetic
    assert message.title == f"SYNTHETIC Entered a position: {MARKET}"


def test_many_checks_that_agree_hide_none_that_does_not(repository, news, monkeypatch):
    monkeypatch.setattr("pipeline.results.rows.news.MOST", 3)
    agree = [LiveEvent("check", "agrees", payload={"difference": ""}) for _ in range(5)]
    repository.live.note([*agree, LiveEvent("check", "differs", payload={"difference": "x"})])
    assert [message.text for message in news()] == ["differs"]


def test_a_row_that_appears_late_is_told_of(repository, config):
    begun = utc_now() - timedelta(hours=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.results.rows.outbox.utc_now", lambda: begun)
        repository.outbox.begin(TARGET, config.events)
    late = LiveEvent("enter", "committed late", at=begun + timedelta(hours=1))
    repository.live.note([LiveEvent("enter", "before", at=begun - timedelta(hours=1)), late])
    assert repository.outbox.news(TARGET, config.events, timedelta(minutes=15)) == []
    assert [one.text for one in repository.outbox.news(TARGET, config.events)] == [late.text]


def test_a_word_that_is_added_later_brings_no_past(repository):
    repository.outbox.begin(TARGET, ["enter"])
    repository.live.note([LiveEvent("enter", "one"), LiveEvent("leave", "two")])
    repository.outbox.begin(TARGET, ["enter", "leave"])
    repository.live.note([LiveEvent("leave", "three")])
    new = repository.outbox.news(TARGET, ["enter", "leave"])
    assert [one.text for one in new] == ["one", "three"]


def test_a_row_that_cannot_be_read_is_left_out(repository, news):
    if repository.engine.name == "postgresql":
        pytest.skip("PostgreSQL takes no such value")
    repository.live.note([LiveEvent("enter", "good"), LiveEvent("enter", "spoilt")])
    with repository.transaction() as session:
        session.execute(text("UPDATE live_events SET payload = '[' WHERE text = 'spoilt'"))
    assert [message.text for message in news()] == ["good"]


def test_old_rows_go_and_their_events_are_not_told_again(repository, news, monkeypatch):
    repository.live.note([LiveEvent("enter", "one")])
    news()
    (delivery,) = repository.outbox.due(TARGET)
    repository.outbox.delivered(delivery)
    for age, left in ((OLDEST, 1), (KEPT + timedelta(hours=1), 0)):
        later = utc_now() + age
        monkeypatch.setattr("pipeline.results.rows.outbox.utc_now", lambda later=later: later)
        repository.outbox.tidy(TARGET)
        assert [state.delivered for state in repository.outbox.states()] == [left]
    assert repository.outbox.news(TARGET, ["enter"]) == []


def test_what_was_never_taken_is_given_up_in_the_end(repository, news, monkeypatch):
    repository.live.note([LiveEvent("enter", "one")])
    news()
    later = utc_now() + OLDEST + timedelta(minutes=1)
    monkeypatch.setattr("pipeline.results.rows.outbox.utc_now", lambda: later)
    repository.outbox.tidy(TARGET)
    (state,) = repository.outbox.states()
    assert (state.waiting, state.given_up) == (0, 1)
    assert repository.outbox.due(TARGET) == []


def test_a_position_is_told_with_the_time_of_its_candle_and_not_from_before(repository, news):
    """What a ledger catches up from before the receiver began is told to nobody."""
    now = utc_now()
    later, earlier = now + timedelta(hours=1), now - timedelta(days=400)
    lines = [
        LiveEvent("enter", "second", candle=later),
        LiveEvent("enter", "of long ago", candle=earlier),
        LiveEvent("leave", "of long ago", candle=earlier),
        LiveEvent("leave", "first", candle=later - timedelta(minutes=30)),
    ]
    repository.live.note(lines)
    told = news()
    assert [message.text.split()[0] for message in told] == ["first", "second"]
    assert [message.at for message in told] == [lines[3].candle, lines[0].candle]


def test_a_position_of_a_long_candle_is_told_as_soon_as_it_is_booked(repository, news):
    """It is booked when its candle has closed, which opened before the receiver began."""
    opened = utc_now() - timedelta(hours=4)
    repository.live.note([LiveEvent(kind, kind, candle=opened) for kind in ("enter", "leave")])
    told = news(SHORT_LOOK)
    assert [(message.type, message.at) for message in told] == [
        ("enter", opened),
        ("leave", opened),
    ]
