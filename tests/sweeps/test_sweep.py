"""`scripts/sweep` in this process: trained, kept, skipped, tried again, refused."""

import os
import shutil
import socket
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import text

from pipeline.executors import signs_of_life
from pipeline.report import __main__ as report
from pipeline.results.access.engines import DatabaseFullError
from pipeline.results.artifacts.artifact_set import OUT_OF_SAMPLE, read_series
from pipeline.results.database import open_database
from pipeline.results.records import SweepMarket
from pipeline.results.rows.sweep_rows import seal
from pipeline.sweeps import running
from pipeline.validation.pooling import PooledVerdict, pooled_sentences
from pipeline.validation.statistics import sharpe_test
from support.runs import run_here
from support.stored import command
from support.sweeping import HOURS, TINY, dump, sweep_here, tables

NAMES = ["btc_binance_1h", "eth_binance_1h", "sol_binance_1h"]


@pytest.fixture
def here(tmp_path):
    return lambda *words: sweep_here(tmp_path, *words)


def update(folder, statement):
    url = f"sqlite:///{folder}/var/trainings.db"
    with open_database(url) as repository, repository.engine.begin() as connection:
        connection.execute(text(statement))


def statuses(folder):
    return [row["status"] for row in tables(folder)[1]]


def test_a_sweep_trains_stores_and_judges_every_market(here, tmp_path):
    finished = here(HOURS, *TINY)
    assert finished.status == 0, finished.err
    (sweep,), markets, jobs, configurations, _ = tables(tmp_path)
    assert (sweep["status"], sweep["optimizer"]) == ("completed", "random")
    assert sweep["config"]["markets"] == NAMES
    assert [(row["market"], row["status"]) for row in markets] == [(n, "done") for n in NAMES]
    assert [job["status"] for job in jobs] == ["completed"] * 3
    stored = {row["id"]: row for row in configurations}
    for row in markets:
        configuration = stored[row["configuration_id"]]
        assert configuration["job_id"] == row["job_id"]
        assert configuration["p_value"] == row["p_value"]
        assert configuration["statistics"]["fdr_q_value"] == row["fdr_q_value"]
    for name in NAMES:
        assert name in finished.out
    best = min(markets, key=lambda row: (row["surrogate_p"] or 2.0, row["p_value"] or 2.0))
    assert f"Sweep {sweep['id']} in sqlite:///var/trainings.db" in finished.out
    command = f"scripts/explain {best['configuration_id']}"
    assert f"{best['p_value']:.3g}: {best['market']}. To see why: {command}\n" in finished.out
    assert "3 markets to train, 1 at a time; 0 ended before" in finished.err
    assert [str(sweep[name])[:10] for name in ("since", "until")] == ["2023-01-01", "2023-03-02"]


@pytest.mark.parametrize(
    ("figures", "best", "sentence"),
    [
        ([(0.1, 0.3), (0.2, 0.04), (0.01, None)], "b", "The lowest surrogate p, which decides"),
        ([(0.1, None), (0.05, None), (None, None)], "b", "The lowest p is 0.05:"),
        ([(None, None), (None, None)], "a", "No market has a p."),
    ],
)
def test_the_market_named_last_is_the_one_whose_p_decides(figures, best, sentence):
    rows = [
        SweepMarket(name, "done", "j", "c", p, surrogate_p, None, None, None, "s", position, "h")
        for position, (name, (p, surrogate_p)) in enumerate(zip("abc", figures, strict=False))
    ]
    lowest = min(rows, key=running._deciding)
    assert lowest.market == best
    assert sentence in running._lowest(lowest)


def test_a_sweep_interrupted_at_its_end_has_no_market_left(here, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "judge_sweep", interrupt)
        stopped = here(HOURS, *TINY)
    assert stopped.status == 130, stopped.err
    assert "all 3 trainings have ended; the same command judges them together" in stopped.err
    assert statuses(tmp_path) == ["done"] * 3
    finished = here(HOURS, *TINY)
    assert finished.status == 0, finished.err
    assert tables(tmp_path)[0][0]["status"] == "completed"


def test_a_sweep_stores_what_its_markets_came_to_together(here, tmp_path):
    finished = here(HOURS, *TINY)
    (sweep,), markets, *_ = tables(tmp_path)
    (pool,) = sweep["pooled"]
    daily = [
        read_series(tmp_path / "var/artifacts" / row["configuration_id"] / OUT_OF_SAMPLE)
        for row in markets
    ]
    together = np.mean([series.returns for series in daily], axis=0)
    assert (pool["synthetic"], pool["markets"], pool["coins"]) == (True, 3, 3)
    assert (pool["days"], pool["left_out"]) == (len(together), 0)
    assert pool["net_profit"] == pytest.approx(np.prod(1.0 + together) - 1.0)
    assert pool["p_value"] == pytest.approx(sharpe_test(together).p_value)
    for sentence in pooled_sentences(PooledVerdict(**pool)):
        assert sentence in finished.out.replace("\n", " ")


def test_a_sweep_whose_series_are_elsewhere_has_no_pool_and_is_complete(
    here, tmp_path, monkeypatch
):
    def gone(file):
        raise FileNotFoundError(file)

    monkeypatch.setattr("pipeline.results.artifacts.pooled.read_series", gone)
    finished = here(HOURS, *TINY)
    assert finished.status == 0
    assert "The markets cannot be pooled" in finished.err
    (sweep,), *_ = tables(tmp_path)
    assert (sweep["status"], sweep["pooled"]) == ("completed", [])


def test_a_market_is_trained_as_it_would_be_alone(here, tmp_path):
    here("markets=btc_binance_1h", *TINY)
    (tmp_path / "alone").mkdir()
    alone = run_here(tmp_path / "alone", "market=btc_binance_1h", *TINY)
    (job,) = tables(tmp_path)[2]
    assert (job["config"], job["config_hash"]) == (alone.jobs[0].config, alone.jobs[0].config_hash)
    (configuration,) = tables(tmp_path)[3]
    assert configuration["out_of_sample"] == alone.configurations[0].out_of_sample
    assert configuration["parameters"] == alone.configurations[0].parameters


def test_what_is_complete_is_only_shown(here, tmp_path):
    here(HOURS, *TINY)
    before = tables(tmp_path)
    again = here(HOURS, *TINY)
    assert again.status == 0
    assert "by this command and this code: resume=false begins a new one" in again.err
    assert tables(tmp_path) == before


def test_a_new_sweep_computes_everything_again(here, tmp_path):
    here(HOURS, *TINY)
    assert here(HOURS, *TINY, "resume=false").status == 0
    assert [len(rows) for rows in tables(tmp_path)[:4]] == [2, 6, 6, 6]


def test_what_is_complete_but_has_lost_its_artifacts_is_computed_again(here, tmp_path):
    here("markets=eth_binance_1h", *TINY)
    shutil.rmtree(tmp_path / "var/artifacts")
    assert here("markets=eth_binance_1h", *TINY).status == 0
    assert [len(rows) for rows in tables(tmp_path)[:4]] == [2, 2, 2, 2]
    assert list((tmp_path / "var/artifacts").iterdir())


def test_what_another_sweep_has_done_is_not_computed_again(here, tmp_path):
    here("markets=eth_binance_1h", *TINY)
    assert here(HOURS, *TINY).status == 0
    sweeps, markets, jobs, configurations, _ = tables(tmp_path)
    newest = [row for row in markets if row["sweep_id"] == sweeps[0]["id"]]
    assert [row["status"] for row in newest] == ["done", "skipped", "done"]
    assert len(jobs) == len(configurations) == 3


def test_a_market_that_fails_stops_no_other_and_is_not_hidden(here, tmp_path):
    (tmp_path / "eth.csv").write_text("these are no candles\n")
    words = ("data=file", "data.path=${market.base}.csv", *TINY[3:])
    finished = here("markets=btc_binance_4h,eth_binance_4h", *words)
    assert finished.status == 1
    (sweep,), markets, jobs, *_ = tables(tmp_path)
    assert sweep["status"] == "failed"
    assert statuses(tmp_path) == ["failed", "failed"]
    assert "BTC.csv" in markets[0]["error"]
    assert [job["error"] for job in jobs] == [row["error"] for row in markets]
    assert "BTC.csv" in finished.out
    assert "Traceback" not in finished.err


def test_failed_markets_are_tried_again_when_asked(here, tmp_path, monkeypatch):
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    sweep_here(undisturbed, HOURS, *TINY)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.training.job.train", disk_on_fire)
        assert here(HOURS, *TINY).status == 1
    assert tables(tmp_path)[1][0]["error"] == "RuntimeError: the disk is on fire"
    assert here(HOURS, *TINY).status == 1  # as it was, and said again
    assert statuses(tmp_path) == ["failed"] * 3
    assert here(HOURS, *TINY, "retry_failed=true").status == 0
    assert dump(tmp_path) == dump(undisturbed)


def test_a_cause_that_no_job_could_be_told_stands_in_the_market(here, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.job.train", disk_on_fire)
    monkeypatch.setattr("pipeline.results.rows.jobs.Jobs.fail", database_full)
    assert here("markets=btc_binance_1h", *TINY).status == 1
    assert tables(tmp_path)[1][0]["error"] == "RuntimeError: the disk is on fire"


def disk_on_fire(*_):
    raise RuntimeError("the disk is on fire")


def database_full(*_):
    raise DatabaseFullError


FORGED = [
    ["UPDATE sweeps SET pooled = NULL"],
    ["UPDATE sweep_markets SET p_value = 0.0001"],
    ["UPDATE sweep_markets SET status = 'failed'", "UPDATE sweeps SET status = 'failed'"],
    ["""UPDATE sweeps SET pooled = '[{"p_value": Infinity}]'"""],
]


def test_an_edited_sweep_is_neither_shown_nor_continued(here, tmp_path):
    one = ("markets=btc_binance_1h", *TINY)
    here(*one)
    file = tmp_path / "var/trainings.db"
    genuine = file.read_bytes()
    for statements in FORGED:
        file.write_bytes(genuine)
        for statement in statements:
            update(tmp_path, statement)
        refused = here(*one, "retry_failed=true")
        assert (refused.status, refused.out) == (1, "")
        assert "was changed by something other than this program: the row of the" in refused.err
        assert "begin a new one with resume=false" in refused.err
        with open_database(f"sqlite:///{file}") as repository:
            assert len(repository.jobs.find()) == 1
    assert here(*one, "resume=false").status == 0


def test_an_edited_market_is_named_below_the_table_of_the_others(here, tmp_path):
    two = ("markets=btc_binance_1h,eth_binance_1h", *TINY)
    genuine = here(*two)
    ids = {row["market"]: row["configuration_id"] for row in tables(tmp_path)[1]}
    bad, good = ids["btc_binance_1h"], ids["eth_binance_1h"]
    edit = f"lifecycle_stage = 'MATURE' WHERE id = '{bad}'"
    update(tmp_path, f"UPDATE trained_configurations SET {edit}")
    shown = here(*two)
    assert shown.status == 1
    assert "column lifecycle_stage is not what was stored" in shown.out
    assert "EDITED" in shown.out
    assert "MATURE" not in shown.out
    assert f"scripts/explain {good}" in shown.out
    assert "2 markets: 1 " in genuine.out or "2 markets: 2 " in genuine.out
    assert "1 edited." in shown.out


def test_a_killed_sweep_goes_on_unless_a_market_was_edited(here, tmp_path):
    one = ("markets=btc_binance_1h", *TINY)
    here(*one)
    update(tmp_path, "UPDATE sweeps SET status = 'running', finished_at = NULL, owner = 'dead'")
    file = tmp_path / "var/trainings.db"
    with open_database(f"sqlite:///{file}") as repository, repository.transaction() as session:
        seal(session, repository.sweeps.ids()[0])  # as a killed one left it
    genuine = file.read_bytes()
    for edit in ("p_value = 0.0001", "seconds = 9e999"):
        file.write_bytes(genuine)
        update(tmp_path, f"UPDATE sweep_markets SET {edit}")
        for refused in (here(*one), command(report, tmp_path, "--sweep", "latest")):
            assert (refused.status, refused.out) == (1, "")
            assert "was changed by something other than this program: the row of the" in refused.err
    file.write_bytes(genuine)
    assert here(*one).status == 0
    assert [row["status"] for row in tables(tmp_path)[0]] == ["completed"]


def test_a_market_of_an_edited_sweep_is_computed_again(here, tmp_path):
    here("markets=eth_binance_1h", *TINY)
    (genuine,) = tables(tmp_path)[1]
    update(tmp_path, "UPDATE sweep_markets SET p_value = 0.0001, surrogate_p = 0.0001")
    assert here("markets=eth_binance_1h,btc_binance_1h", *TINY).status == 0
    sweeps, markets, *_ = tables(tmp_path)
    fresh = {row["market"]: row for row in markets if row["sweep_id"] == sweeps[0]["id"]}
    assert {row["status"] for row in fresh.values()} == {"done"}
    assert fresh["eth_binance_1h"]["p_value"] == genuine["p_value"] != 0.0001


def test_a_live_sweep_is_left_alone(here, tmp_path, monkeypatch):
    here(HOURS, *TINY)
    with open_database(f"sqlite:///{tmp_path}/var/trainings.db") as repository:
        with repository.session() as session, session.begin():
            owner = repository.lease.hold(session)
        update(tmp_path, f"UPDATE sweeps SET status = 'running', owner = '{owner}'")
        before = tables(tmp_path)
        refused = here(HOURS, *TINY)
        assert refused.status == 2
        assert f"running already: process {os.getpid()} on {socket.gethostname()}" in refused.err
        assert "no sign of life" not in refused.err
        assert "kill -CONT" not in refused.err
        with monkeypatch.context() as patch:
            patch.setattr(signs_of_life, "is_stopped", lambda pid: pid == os.getpid())
            assert f"kill -CONT {os.getpid()}" in here(HOURS, *TINY).err
        assert here(HOURS, *TINY, "resume=false").status == 2
        assert tables(tmp_path) == before


def test_a_sweep_of_another_place_that_is_silent_is_left_alone_until_it_is_dead(here, tmp_path):
    here(HOURS, *TINY)
    url = f"sqlite:///{tmp_path}/var/trainings.db"
    with open_database(url) as repository, repository.session() as session, session.begin():
        owner = repository.lease.hold(session)
    update(tmp_path, f"UPDATE sweeps SET status = 'running', owner = '{owner}'")
    with open_database(url) as repository, repository.transaction() as session:
        seal(session, repository.sweeps.ids()[0])  # as a killed one left it
    update(
        tmp_path,
        f"INSERT INTO leases VALUES ('{owner}', 'elsewhere', 'box', 7, '1.00', 5,"
        " strftime('%Y-%m-%d %H:%M:%f000', 'now', '-400 seconds'))",
    )
    refused = here(HOURS, *TINY)
    assert refused.status == 2
    assert "process 7 on box" in refused.err
    assert "It gave no sign of life for 40" in refused.err
    assert "after 900 s this command takes its place" in refused.err
    update(tmp_path, "UPDATE leases SET renewed_at = datetime('now', '-1000 seconds')")
    assert here(HOURS, *TINY).status == 0
    assert [row["status"] for row in tables(tmp_path)[0]] == ["completed"]


def test_a_dead_sweep_that_is_not_wanted_makes_room(here, tmp_path):
    here("markets=btc_binance_1h", *TINY)
    update(tmp_path, "UPDATE sweeps SET status = 'running', owner = 'long ago'")
    assert here("markets=btc_binance_1h", *TINY, "resume=false").status == 0
    assert [row["status"] for row in tables(tmp_path)[0]] == ["completed", "cancelled"]


@pytest.mark.parametrize("edit", ["config = '{'", "created_at = 'zzz'"])
def test_a_dead_sweep_that_cannot_be_read_makes_room(here, tmp_path, edit):
    one = ("markets=btc_binance_1h", *TINY)
    here(*one)
    update(tmp_path, f"UPDATE sweeps SET status = 'running', owner = 'long ago', {edit}")
    refused = here(*one)
    assert (refused.status, "resume=false" in refused.err) == (1, True)
    assert here(*one, "resume=false").status == 0
    assert here(*one).status == 0


@pytest.mark.parametrize(
    ("status", "edit"),
    [
        ("running", "DELETE FROM trained_configurations"),
        ("cancelled", "UPDATE training_jobs SET seed = 99"),
        ("completed", "UPDATE trained_configurations SET p_value = 0.0001"),
    ],
)
def test_a_sweep_whose_configuration_was_edited_says_what_works(here, tmp_path, status, edit):
    one = ("markets=btc_binance_1h", *TINY)
    here(*one)
    file = tmp_path / "var/trainings.db"
    with closing(sqlite3.connect(file)) as connection:  # no foreign keys
        connection.execute(f"UPDATE sweeps SET status = '{status}', owner = 'long ago'")
        connection.execute(edit)
        connection.commit()
    with open_database(f"sqlite:///{file}") as repository, repository.transaction() as session:
        seal(session, repository.sweeps.ids()[0])  # as a killed one left it
    for _ in range(2):
        refused = here(*one)
        assert (refused.status, "EDITED" in refused.out) == (1, status == "completed")
        said = refused.out if status == "completed" else refused.err
        assert "begin a new sweep with resume=false" in " ".join(said.split())
        assert "the same command" not in refused.err
        assert [row["status"] for row in tables(tmp_path)[0]] != ["running"]
    assert here(*one, "resume=false").status == 0


def test_the_sweep_is_refused_before_anything_is_written(here, tmp_path):
    refused = here(HOURS, *TINY, "seeed=3")
    assert (refused.status, list(tmp_path.iterdir())) == (2, [])
    assert "seeed is not a key" in refused.err


@pytest.mark.parametrize("word", ["dry_run=true", "--dry-run"])
def test_a_dry_run_writes_nothing(here, tmp_path, word):
    finished = here("markets=btc_binance_1h", *TINY, word)
    assert finished.status == 0, finished.err
    assert "btc_binance_1h" in finished.out
    assert not (tmp_path / "var/trainings.db").exists()
