"""What was asked for together, in the order of the page Jobs, and what of it is left."""

from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import update

from pipeline.results.records import utc_now
from pipeline.results.tables.models import TrainingJob
from pipeline.web.service import composing
from pipeline.web.service.answers import SweepProgress
from pipeline.web.service.requests import TrainingRequest
from pipeline.web.studio.pages.jobs import _listed
from pipeline.web.studio.widgets.again import address_of_all

SMALL = {
    "optimizer": {"method": "random", "samples": 5},
    "validation": {"method": "train_test_split", "test": 10, "evidence": "deciding"},
    "history": {"days": 60},
    "min_trades": 1,
}


def start(service, *markets, **more):
    return service.start_training(TrainingRequest(markets=list(markets), **(SMALL | more)))


def finish(repository, job_id, seconds=None):
    """Run a job to an end that found nothing; it took so many seconds."""
    if repository.jobs.read(job_id).status == "pending":
        assert repository.jobs.take(job_id)
    repository.jobs.complete(job_id)
    if seconds is not None:
        ended = utc_now()
        row = update(TrainingJob).where(TrainingJob.id == job_id)
        with repository.session() as session, session.begin():
            session.execute(
                row.values(started_at=ended - timedelta(seconds=seconds), finished_at=ended)
            )


def again(view):
    """The words of the address that fills the form in as a batch was asked for."""
    asked = [(job.exchange, job.pair, job.timeframe) for job in view.jobs]
    address = address_of_all(view.first, asked, [""], composing.choices().markets)
    return dict(parse_qsl(address[2:]))


@pytest.fixture
def asked(service):
    """A job that has ended, a sweep of which one runs, and two jobs that wait."""
    old = start(service, "demo").job_ids[0]
    finish(service.repository, old, 10.0)
    first = start(service, "demo", seed=1).job_ids[0]
    sweep = start(service, "demo", "demo_null")
    second = start(service, "demo_null", seed=2).job_ids[0]
    service.repository.jobs.take(sweep.job_ids[0])
    return old, first, sweep, second


def test_what_runs_is_on_top_then_what_waits_then_what_ended(service, asked):
    old, first, sweep, second = asked
    page = service.repository.batches.page(None, 10, 0)
    assert [one.id for one in page] == [sweep.sweep_id, first, second, old]
    assert [one.state for one in page] == ["running", "pending", "pending", None]
    assert [one.id for one in service.repository.batches.page(None, 2, 1)] == [first, second]
    assert [one.id for one in service.repository.batches.page("completed", 10, 0)] == [old]
    assert [one.id for one in service.repository.batches.page("pending", 10, 0)] == [first, second]


def test_the_running_one_is_on_top_of_36_that_wait(service):
    jobs = [start(service, "demo", seed=seed).job_ids[0] for seed in range(36)]
    service.repository.jobs.take(jobs[20])
    page = service.repository.batches.page(None, 25, 0)
    assert len(page) == 25
    assert (page[0].id, page[1].id) == (jobs[20], jobs[0])


def test_a_row_says_how_far_it_is_and_what_was_asked_for(service, asked):
    _, _, sweep, _ = asked
    running, waiting, *_ = map(service.batch, service.repository.batches.page(None, 10, 0))
    assert (running.status, running.is_sweep) == ("running", True)
    assert running.said.startswith("0 of 2. Now synthetic:DEMO/USDT:5m: starting")
    assert running.title == "Sweep of 2 SYNTHETIC markets"
    assert (waiting.status, waiting.seed, waiting.period) == ("pending", 1, "60 days")
    assert waiting.settings == "liquidity_sweep, random 5, train test split: gap 7, test 10 days"
    finish(service.repository, sweep.job_ids[0], 30.0)
    done = service.batch(service.repository.batches.page(None, 1, 0)[0])
    assert done.said.startswith("1 of 2, about")
    assert done.progress == 0.5
    assert (
        service.batch(service.repository.batches.page("completed", 10, 0)[-1]).said == "took 10 s"
    )


def test_time_left_is_reckoned_from_jobs_that_ended(service, asked):
    sweep = asked[2]
    # 10 s for each of two that wait, and two of the sweep, of which nothing is done yet.
    assert service.queue_left() == "About 40 s left for all of it."
    finish(service.repository, sweep.job_ids[0], 30.0)
    assert service.queue_left() == "About 70 s left for all of it."  # its own take 30 s, others 20
    service.cancel_all()
    assert service.queue_left() == ""


def test_no_total_is_below_what_a_row_says(service):
    finish(service.repository, start(service, "demo").job_ids[0], 6.0)
    (job_id,) = start(service, "demo", seed=1).job_ids
    service.repository.jobs.take(job_id)
    service.repository.jobs.progress(job_id, 0.1, "surrogates", done=10, total=350, rate=10.0)
    row = service.batch(service.repository.batches.page(None, 1, 0)[0])
    assert row.said.endswith("about 34 s left in this stage")
    assert service.queue_left() == "About 34 s left for all of it."


def test_a_sweep_of_strategies_names_each_and_no_market_twice(service, repository):
    ids = start(service, "demo", "demo_null").job_ids
    with repository.session() as session, session.begin():
        row = update(TrainingJob).where(TrainingJob.id == ids[1])
        session.execute(row.values(market="synthetic:DEMO/USDT:5m", strategy="donchian_breakout"))
    view = service.batch(service.repository.batches.page(None, 1, 0)[0])
    assert view.title == "Sweep of 1 SYNTHETIC market with 2 strategies"
    assert view.settings.startswith("liquidity_sweep, donchian_breakout, random 5, ")
    assert _listed(view) == "synthetic:DEMO/USDT:5m"


@pytest.mark.parametrize(
    ("history", "period"),
    [
        ({"since": "2023-01-01", "until": "2023-12-31"}, "2023-01-01 to 2023-12-30"),
        ({"since": "2023-01-01"}, "2023-01-01 to now"),
        ({"length": "1y", "until": "2023-03-01"}, "1y to 2023-02-28"),
    ],
)
def test_days_are_shown_with_the_last_one(service, history, period):
    start(service, "btc_binance_1h", history=history)
    assert service.batch(service.repository.batches.page(None, 1, 0)[0]).period == period


def test_before_any_job_has_ended_nobody_knows(service):
    start(service, "demo")
    assert service.queue_left().startswith("How long it takes is known when")


def test_nothing_has_changed_until_something_has(service, asked):
    batches = service.repository.batches
    before = batches.change()
    assert batches.change() == before
    service.cancel(asked[1])
    assert batches.change() != before


def test_cancel_all_ends_what_runs_and_what_waits(service, asked):
    old, first, sweep, second = asked
    assert service.cancel_all() == 4
    states = [service.job(one).status for one in (first, second, *sweep.job_ids)]
    assert set(states) == {"cancelled"}
    assert service.job(old).status == "completed"
    row = next(
        row
        for row in map(service.batch, service.repository.batches.page(None, 10, 0))
        if row.is_sweep
    )
    assert (row.status, row.is_open) == ("cancelled", False)
    progress = SweepProgress(ended=2, cancelled=1, total=2, progress=1.0, seconds_left=None)
    assert (progress.state("running"), progress.is_judged("running")) == ("running", True)
    assert not progress.is_judged("completed")


def test_a_sweep_that_is_being_judged_runs(service):
    asked = start(service, "demo", "demo_null")
    for job_id in asked.job_ids:
        finish(service.repository, job_id, 6.0)
    row = service.batch(service.repository.batches.page(None, 1, 0)[0])
    assert (row.status, row.is_open, row.is_cancellable) == ("running", True, False)
    assert row.said.endswith("being judged")
    assert service.judged() == 1


def test_a_damaged_job_hides_no_other(service, asked, repository):
    _, first, *_ = asked
    with repository.engine.begin() as connection:
        row = TrainingJob.__table__
        connection.exec_driver_sql(f"UPDATE {row.name} SET seed = 'x' WHERE id = '{first}'")
    rows = {one.id: service.batch(one) for one in service.repository.batches.page(None, 10, 0)}
    assert len(rows) == 4
    assert rows[first].status == "damaged"
    assert first in rows[first].error


def test_a_whole_sweep_is_asked_for_again(service):
    asked = start(service, "btc_binance_1h", "eth_kraken_4h", history={"days": 400}, seed=3)
    view = service.batch(service.repository.batches.page(None, 1, 0)[0])
    assert view.id == asked.sweep_id
    words = again(view)
    assert words["more"] == "btc_binance_1h,eth_kraken_4h"
    assert (words["seed"], words["method"], words["samples"]) == ("3", "random", "5")
    assert "exchange" not in words
    start(service, "btc_binance_1h", "eth_binance_1h", history={"days": 400})
    view = service.batch(service.repository.batches.page("pending", 5, 1)[0])
    words = again(view)
    boxes = ("exchange", "pair", "timeframe")
    assert [words[one] for one in boxes] == ["binance", "BTC/USDT,ETH/USDT", "1h"]
    assert "more" not in words


@pytest.mark.parametrize(
    ("ended", "failed", "cancelled", "said"),
    [
        (0, 0, 0, "0 of 4 markets ended"),
        (4, 0, 0, "4 of 4 markets ended"),
        (4, 3, 0, "3 of 4 markets failed, 1 completed"),
        (3, 1, 2, "1 of 4 markets failed, 2 cancelled"),
    ],
)
def test_a_sweep_says_how_its_markets_ended(ended, failed, cancelled, said):
    progress = SweepProgress(
        ended=ended, failed=failed, cancelled=cancelled, total=4, progress=0.5, seconds_left=None
    )
    assert progress.ends("4 markets") == said
