"""`scripts/verify` repeats what decides a stage: search, tests against luck, seed, sweeps."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from pipeline import verify
from pipeline.results.damage import RESTORE
from pipeline.sweeps.judging import judge_together
from pipeline.validation.multiple_testing import adjusted
from pipeline.validation.stages import deciding_p
from support.databases import later_events
from support.runs import Finished, ask
from support.stored import command, sql
from support.sweeping import HOURS, NEVER, TINY, sweep_here, tables

pytestmark = pytest.mark.usefixtures("repeated_once")


def receipt(folder, configuration_id="latest"):
    """Exit status, the receipt, and its comparisons by their names."""
    finished = command(verify, folder, configuration_id, "--json")
    written = json.loads(finished.out)
    return finished.status, written, {one["what"]: one for one in written["comparisons"]}


def forge(folder, table, column, path, value):
    """Set a value in a JSON column of every row of a table."""
    engine = create_engine(f"sqlite:///{folder}/var/trainings.db")
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE {table} SET {column} = json_set({column}, :path, json(:value))"),
            {"path": path, "value": json.dumps(value)},
        )
    engine.dispose()


def test_what_a_training_decided_comes_out_again(fading):
    status, written, compared = receipt(fading.folder)
    statistics = fading.result["statistics"]
    assert statistics["surrogate_p"] is not None, "there is something to repeat"
    assert fading.result["whole_history"]["surrogates"]
    assert (status, written["agrees"], written["notes"]) == (0, True, [])
    assert compared["search"]["compared"] > 20 * len(fading.result["windows"])
    assert compared["statistics"]["compared"] >= len(statistics)
    assert compared["stage of the training"]["first"] is None


@pytest.mark.parametrize(
    ("name", "value"), [("surrogate_p", 0.01), ("reality_check_p", 0.001), ("beta", 0.0)]
)
def test_a_forged_statistic(fading, name, value):
    """Whatever else the forger mends: the training does not say so."""
    assert fading.result["statistics"].get(name) != value
    forge(fading.folder, "trained_configurations", "statistics", f"$.{name}", value)
    status, _, compared = receipt(fading.folder)
    assert status == 1
    assert compared["statistics"]["differing"] == 1
    assert compared["statistics"]["first"].startswith(f"statistics.{name}: stored {value}, now ")


def test_a_winner_that_the_search_did_not_choose(fading):
    (folder,) = fading.artifacts
    windows = json.loads((folder / "windows.json").read_text())
    windows[0]["score"] += 0.1
    (folder / "windows.json").write_text(json.dumps(windows))
    status, _, compared = receipt(fading.folder)
    assert status == 1
    assert compared["search"]["first"].startswith("search.windows[0].score: stored ")


def repack(path, **changes):
    """Write an npz again with some of its arrays changed."""
    with np.load(path) as members:
        arrays = {name: members[name] for name in members}
    np.savez(path, **arrays | {name: change(arrays[name]) for name, change in changes.items()})


def drop_columns(path):
    pq.write_table(pq.read_table(path).drop(["closed", "hold"]), path)


@pytest.mark.parametrize(
    ("file", "forgery", "first"),
    [
        ("null.npz", lambda p: repack(p, surrogate_permuted=lambda a: a - 1.0), "permuted candles"),
        ("null.npz", lambda p: repack(p, best=lambda a: a + 1.0), "marks in luck"),
        ("null.npz", lambda p: p.unlink(), "bar_flipped candles, shape"),
        ("scores.npz", lambda p: repack(p, sharpe_ratio=lambda a: a + 1.0), "scores of sharpe"),
        ("out_of_sample.parquet", drop_columns, "series closed, shape: stored none"),
    ],
)
def test_what_the_report_draws_is_repeated(fading, file, forgery, first):
    (folder,) = fading.artifacts
    forgery(folder / file)
    status, _, compared = receipt(fading.folder)
    assert status == 1
    assert compared["what the report draws"]["first"].startswith(f"what the report draws, {first}")


def test_a_job_that_finds_nothing_is_no_receipt(fading):
    forge(fading.folder, "training_jobs", "config", "$.min_trades", 100_000)
    status, written, _ = receipt(fading.folder)
    assert status == 1
    assert written["first_difference"] == "the search finds nothing to store any more"


def test_another_seed_draws_other_luck(fading):
    forge(fading.folder, "training_jobs", "config", "$.seed", 12345)
    status, _, compared = receipt(fading.folder)
    assert status == 1
    assert compared["statistics"]["differing"] > 0


def test_a_job_that_this_version_cannot_run_is_not_verified(fading):
    forge(fading.folder, "training_jobs", "config", "$.validation.surrogates", True)
    status, written, _ = receipt(fading.folder)
    assert status == 1
    assert "this version cannot repeat the search" in written["first_difference"]


@pytest.fixture(scope="module")
def swept_once(tmp_path_factory):
    """A sweep of three markets."""
    folder = tmp_path_factory.mktemp("swept")
    finished = sweep_here(folder, HOURS, *TINY)
    assert finished.status == 0, finished.err
    return folder


@pytest.fixture
def swept(swept_once, tmp_path):
    """A copy of it to spoil: its folder, its id and its first configuration's."""
    folder = tmp_path / "swept"
    shutil.copytree(swept_once, folder)
    (sweep,), markets, *_ = tables(folder)
    return folder, sweep["id"], markets[0]["configuration_id"], markets[1]["configuration_id"]


def test_q_values_and_pool_of_a_sweep_come_out_again(swept):
    folder, sweep_id, first, _ = swept
    status, written, compared = receipt(folder, first)
    assert (status, written["notes"]) == (0, []), written["first_difference"]
    assert compared[f"q-values of sweep {sweep_id}"]["compared"] == 3
    assert compared[f"pool of sweep {sweep_id}"]["compared"] > 10


def test_a_market_that_stored_nothing_counts_in_q_and_in_its_receipt(tmp_path):
    """Two markets and two strategies, one of which finds nothing to store on either."""
    (tmp_path / "never.py").write_text(NEVER, "utf-8")
    words = ("markets=btc_binance_1h,eth_binance_1h", "strategies=[liquidity_sweep,never.py]")
    finished = sweep_here(tmp_path, *words, *TINY)
    assert finished.status == 0, finished.err
    (sweep,), markets, *_ = tables(tmp_path)
    assert [row["status"] for row in markets] == ["done"] * 4
    stored = [row for row in markets if row["configuration_id"] is not None]
    assert len(stored) == 2
    read = ask(tmp_path, lambda r: [r.configurations.read(s["configuration_id"]) for s in stored])
    p_values = [deciding_p(one.statistics) for one in read]
    assert [row["fdr_q_value"] for row in stored] == pytest.approx(
        adjusted([*p_values, 1.0, 1.0], "bh")[:2].tolist()
    )
    first = stored[0]["configuration_id"]
    (event,) = ask(tmp_path, lambda repository: later_events(repository, first))
    assert event.figures["tests"] == 4
    status, written, compared = receipt(tmp_path, first)
    assert (status, written["notes"]) == (0, []), written["first_difference"]
    assert compared[f"q-values of sweep {sweep['id']}"]["differing"] == 0
    assert compared["fdr_q_value"]["differing"] == 0


def test_an_edited_neighbour_is_named_and_is_no_difference(swept):
    folder, sweep_id, first, second = swept
    edit = f"UPDATE trained_configurations SET sample_size = 999 WHERE id = '{second}'"
    sql(Finished(0, "", "", folder), edit)
    status, written, compared = receipt(folder, first)
    assert (status, written["agrees"]) == (0, True), written["first_difference"]
    assert f"q-values of sweep {sweep_id}" not in compared
    (note,) = written["notes"]
    assert f"because {second} of its sweep was changed" in note
    status, written, _ = receipt(folder, second)
    assert (status, written["notes"]) == (1, [RESTORE])


def test_a_forged_pool(swept):
    folder, sweep_id, first, _ = swept
    forge(folder, "sweeps", "pooled", "$[0].p_value", 0.0123)
    status, written, _ = receipt(folder, first)
    assert status == 1
    expected = f"pool of sweep {sweep_id}[0].p_value: stored 0.0123, now "
    assert written["first_difference"].startswith(expected)


def test_a_pool_whose_members_are_not_all_here_is_said_not_to_be_repeated(swept):
    folder, sweep_id, first, second = swept
    shutil.rmtree(folder / "var/artifacts" / second)
    status, written, compared = receipt(folder, first)
    assert status == 0
    assert f"pool of sweep {sweep_id}" not in compared
    (note,) = written["notes"]
    assert second in note


def test_a_q_value_of_markets_that_nobody_names_is_said_not_to_be_repeated(fading):
    (found,) = fading.configurations
    ask(fading.folder, lambda repository: judge_together(repository, [found.id]))
    status, written, compared = receipt(fading.folder)
    assert status == 0, written["first_difference"]
    assert "fdr_q_value" not in compared
    (note,) = written["notes"]
    assert "fdr_q_value was not repeated" in note
