"""`scripts/verify`: what was stored comes out again, and what was changed is named."""

import itertools
import json
import re
import shutil

import pyarrow.parquet as pq
import pytest

from gpu_engine import REASONS
from pipeline import monitor, verify
from pipeline.config import StorageConfig
from pipeline.review import integrity
from pipeline.review.later_evidence import record_execution
from pipeline.sweeps.judging import judge_together
from pipeline.training.rules import CHANGES, VERSION, changes_since
from support.databases import after_every_query
from support.parameters import STOP
from support.runs import QUICK, ask, run
from support.stored import TRAINED_BARS, command, fading_candles, resealed, sql, write

pytestmark = pytest.mark.usefixtures("repeated_once")


def test_a_fresh_training_is_verified(fading):
    finished = command(verify, fading.folder, "latest", "--json")
    receipt = json.loads(finished.out)
    assert (finished.status, receipt["agrees"], receipt["notes"]) == (0, True, [])
    compared = {c["what"]: c["compared"] for c in receipt["comparisons"]}
    out_of_sample = fading.result["out_of_sample"]
    windows = [w for w in fading.result["windows"] if w["parameters"]]
    assert compared["candles"] == TRAINED_BARS
    assert compared["trades, out of sample"] == out_of_sample["sample_size"] > 20
    assert compared["daily returns, out of sample"] == out_of_sample["n_days"]
    assert compared["metrics of the windows"] == 22 * len(windows)
    assert all(c["largest_difference"] in (None, pytest.approx(0, abs=1e-9))
               for c in receipt["comparisons"])  # fmt: skip


def test_the_real_command(fading):
    finished = run(fading.folder, fading.result["configuration_id"], module="pipeline.verify")
    assert finished.status == 0, finished.err
    assert "Search and tests against luck are repeated" in finished.err
    assert finished.out.endswith("Verified: reference path and training give what was stored.\n")


def test_a_head_that_was_kept_elsewhere_is_looked_for(fading):
    def status(*words):
        return command(verify, fading.folder, "latest", *words).status

    identity = fading.result["configuration_id"]
    (head,) = ask(fading.folder, lambda repository: repository.checks.heads(identity))
    another = ("1" if head[0] == "0" else "0") + head[1:]
    assert status("--stored", "--head", head) == 0
    assert status("--stored", "--head", another) == 1
    assert status("--stored", "--head", head[:-1]) == 2
    assert status("--daily", "--head", another) == 1
    refused = ask(fading.folder, lambda repository: repository.configurations.events(identity))
    assert [event.kind for event in refused] == ["stored"]
    assert status("--daily", "--head", head) == 0


def test_what_is_reported_while_it_is_verified_is_no_difference(fading):
    """Activation looks as the daily check does."""
    identity = fading.result["configuration_id"]
    fills = itertools.count(1)

    def report(repository):
        record_execution(repository, identity, {"fill_rate": 1 / next(fills)})

    def check(repository):
        artifacts = str(fading.folder / "var/artifacts")
        storage = StorageConfig(url="sqlite:///var/trainings.db", artifacts=artifacts, patience=0)
        configuration = repository.configurations.read(identity)
        with after_every_query(lambda: ask(fading.folder, report)):
            integrity.check(repository, storage, configuration)

    with after_every_query(lambda: ask(fading.folder, report)) as queries:
        verified = command(verify, fading.folder, "latest", "--daily")
    assert (verified.status, next(fills) > 5, len(queries) > 5) == (0, True, True), verified.out
    ask(fading.folder, check)
    assert ask(fading.folder, lambda r: [c.objections for c in r.checks.of([identity])]) == [()]


def assert_differs(finished, what):
    assert finished.status == 1
    assert "Traceback" not in finished.err
    assert f"NOT verified: {what}" in finished.out


def rewritten(path, change):
    table = pq.read_table(path).to_pandas()
    change(table)
    table.to_parquet(path)


def test_a_changed_return_of_one_trade(fading):
    (folder,) = fading.artifacts
    rewritten(
        folder / "trades.parquet", lambda t: t.__setitem__("ret", t["ret"] + 1e-9 * (t.index == 3))
    )
    assert_differs(command(verify, fading.folder, "latest"), "trades[3].ret: stored ")


def test_a_trade_that_was_taken_away(fading):
    (folder,) = fading.artifacts
    table = pq.read_table(folder / "trades.parquet")
    pq.write_table(table.slice(0, len(table) - 1), folder / "trades.parquet")
    expected = f"number of trades: stored {len(table) - 1}, now {len(table)}"
    assert_differs(command(verify, fading.folder, "latest"), expected)


def test_a_changed_day_of_the_series(fading):
    (folder,) = fading.artifacts

    def change(table):
        table.loc[5, "return"] += 0.01

    rewritten(folder / "out_of_sample.parquet", change)
    finished = command(verify, fading.folder, "latest")
    day = pq.read_table(folder / "out_of_sample.parquet")["day"][5]
    assert_differs(finished, f"daily returns, out of sample, {day}: stored ")


def test_changed_parameters_of_a_window(fading):
    (folder,) = fading.artifacts
    windows = json.loads((folder / "windows.json").read_text())
    windows[0]["parameters"][STOP] = 0.5
    (folder / "windows.json").write_text(json.dumps(windows))
    finished = command(verify, fading.folder, "latest")
    assert_differs(finished, "number of trades: stored ")
    assert re.search("metrics of the windows .* DIFFERS", finished.out)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda windows: windows[0].pop("test"), "the artifacts cannot be understood: 'test'"),
        (
            lambda windows: windows[0].update(test=["2031-01-01", "2031-01-30"]),
            "days 2031-01-01 to 2031-01-30 are not in the candles",
        ),
    ],
)
def test_windows_that_make_no_sense(fading, spoil, sentence):
    (folder,) = fading.artifacts
    windows = json.loads((folder / "windows.json").read_text())
    spoil(windows)
    (folder / "windows.json").write_text(json.dumps(windows))
    finished = command(verify, fading.folder, "latest")
    assert finished.status == 1
    assert sentence in finished.out


@pytest.mark.parametrize(
    ("column", "path", "value", "what"),
    [
        ("out_of_sample", "$.net_profit", 9.0, "metrics, out of sample, net_profit: stored 9.0"),
        ("in_sample", "$.win_rate", 0.99, "metrics, in sample, win_rate: stored 0.99"),
        ("statistics", "$.p_value", 0.001, "p_value: stored 0.001"),
        (
            "document",
            "$.parameters.pierce_depth",
            0.5,
            "document.parameters.pierce_depth: stored 0.5",
        ),
    ],
)
def test_a_changed_figure_of_the_row(fading, column, path, value, what):
    sql(fading, f"UPDATE trained_configurations SET {column} = json_set({column}, :p, :v)",
        p=path, v=value)  # fmt: skip
    assert_differs(command(verify, fading.folder, "latest"), what)


@pytest.mark.parametrize(
    ("column", "path", "value", "what"),
    [
        ("statistics", "$.reality_check_p", 0.5, "gates[10].value: stored "),
        ("statistics", "$.pbo", 5, "the artifacts cannot be understood: 1 validation error"),
        ("statistics", "$.stability_score", 0.123, "document.statistical_validation.stability_s"),
        ("gates", "$[3].passed", 5, "gates[3].passed: stored 5, now True"),
        ("gates", "$[9].threshold", 0.5, "gates[9].threshold: stored 0.5, now 0.05"),
        (
            "circuit_breakers",
            "$.max_daily_loss",
            0.9,
            "circuit_breakers.max_daily_loss: stored 0.9",
        ),
        ("document", "$.context.exchange", "kraken", "document.context.exchange: stored kraken"),
        ("document", "$.status", "MATURE", "document.status: stored MATURE, now VALIDATION"),
        ("document", "$.circuit_breakers.max_daily_loss", 0.9, "document.circuit_breakers.max_d"),
        ("document", "$.risk_allocation.position_fraction", 0.9, "document.risk_allocation.posi"),
        ("document", "$.risk_allocation.max_position_size", 1.0, "document.risk_allocation.max_"),
        ("document", "$.statistical_validation.p_value", 0.5, "document.statistical_validation.p"),
        ("document", "$.statistical_validation.drawdown_duration", 1, "document.statistical_valid"),
        (
            "document",
            "$.market_microstructure.avg_spread_bps",
            9.0,
            "document.market_microstructur",
        ),
        (
            "document",
            "$.strategy.parameters[0].comparison",
            "<=",
            "document.strategy.parameters[0]",
        ),
        ("document", "$.surprise", 1, "document.surprise: stored 1, now nothing"),
    ],
)
def test_a_row_that_does_not_follow_from_its_figures(fading, column, path, value, what):
    sql(fading, f"UPDATE trained_configurations SET {column} = json_set({column}, :p, :v)",
        p=path, v=value)  # fmt: skip
    assert_differs(command(verify, fading.folder, "latest"), what)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("lifecycle_stage", "MATURE", "row.lifecycle_stage: stored MATURE, now VALIDATION"),
        ("exchange", "kraken", "row.exchange: stored kraken, now binance"),
        ("pair", "ETH/USDT", "row.pair: stored ETH/USDT, now BTC/USDT"),
        ("timeframe", "5m", "row.timeframe: stored 5m, now 15m"),
        ("synthetic", 1, "row.synthetic: stored True, now False"),
        ("oos_sharpe_ratio", 9.9, "row.oos_sharpe_ratio: stored 9.9, now "),
        ("oos_net_profit", 5.0, "row.oos_net_profit: stored 5.0, now "),
        ("p_value", 0.9, "row.p_value: stored 0.9, now "),
        ("sample_size", 5000, "row.sample_size: stored 5000, now "),
    ],
)
def test_a_changed_column(fading, column, value, what):
    sql(fading, f"UPDATE trained_configurations SET {column} = :v", v=value)
    assert_differs(command(verify, fading.folder, "latest"), what)


def test_a_stage_and_document_set_back_after_monitoring(fading):
    (before,) = fading.configurations
    write(fading.folder / "candles.parquet", fading_candles())
    command(monitor, fading.folder)
    sql(fading, "UPDATE trained_configurations SET lifecycle_stage = 'VALIDATION', document = :d",
        d=json.dumps(before.document))  # fmt: skip
    finished = command(verify, fading.folder, "latest")
    assert_differs(finished, "row.lifecycle_stage: stored VALIDATION, now DECAY")


def changed_since(finished):
    """Switch the configuration on, report its orders, and judge it in a sweep."""

    def change(repository):
        (found,) = repository.configurations.find()
        repository.configurations.set_active(found.id, True, "a dry run", forced=True)
        record_execution(repository, found.id, {"fill_rate": 0.2, "slippage": 0.001})
        judge_together(repository, [found.id])
        record_execution(repository, found.id, {"fill_rate": 0.9})

    ask(finished.folder, change)


def test_what_happened_since_follows_from_its_events(fading):
    write(fading.folder / "candles.parquet", fading_candles())
    assert command(monitor, fading.folder).status == 0
    changed_since(fading)
    verified = command(verify, fading.folder, "latest")
    assert verified.status == 0, verified.out


def test_a_forged_report_of_live_orders(fading):
    changed_since(fading)
    sql(
        fading,
        "UPDATE configuration_events SET figures = :figures WHERE kind = 'execution'",
        figures='{"fill_rate": 0.1}',
    )
    assert_differs(command(verify, fading.folder, "latest"), "gates[2].value: stored 0.9, now 0.1")


def test_another_engine_is_a_note_while_the_trades_agree(fading):
    resealed(fading, "UPDATE trained_configurations"
        " SET provenance = json_set(provenance, '$.engine_hash', 'abc'),"
        " document = json_set(document, '$.metadata.engine_hash', 'abc')")  # fmt: skip
    finished = command(verify, fading.folder, "latest")
    assert finished.status == 0
    assert "The engine or a strategy has changed since the training" in finished.out


def test_rules_that_have_changed_are_named(fading):
    """A result of an earlier build names no version of the rules: that was the first."""
    resealed(fading, "UPDATE trained_configurations"
        " SET provenance = json_remove(provenance, '$.rules_version'),"
        " out_of_sample = json_set(out_of_sample, '$.sortino_ratio', 9.0)")  # fmt: skip
    finished = command(verify, fading.folder, "latest")
    assert_differs(finished, "metrics, out of sample, sortino_ratio: stored 9.0")
    for change in CHANGES[2]:
        assert change in finished.out


def test_a_result_of_an_earlier_build_agrees_where_its_rules_do_not_matter(fading):
    def former(table):
        table["sweep_bar"] = table["setup_bar"]
        for name in ("setup_bar", "stop", "target"):
            del table[name]
        table["reason"] -= table["reason"] > REASONS.index("signal")

    rewritten(fading.artifacts[0] / "trades.parquet", former)
    resealed(fading, "UPDATE trained_configurations"
        " SET provenance = json_remove(provenance, '$.rules_version')")  # fmt: skip
    finished = command(verify, fading.folder, "latest")
    assert finished.status == 0, finished.out
    assert all(change in finished.out for change in CHANGES[2])


def test_a_fresh_training_is_of_the_rules_of_today(fading):
    assert fading.result["provenance"]["rules_version"] == VERSION == max(CHANGES)
    assert changes_since(fading.result["provenance"]) == ()
    assert changes_since({}) == tuple(change for version in CHANGES for change in CHANGES[version])


@pytest.mark.parametrize(
    "document",
    [
        "json_remove(document, '$.strategy')",
        "json_set(document, '$.strategy.parameters[1].meaning', 'Other words.')",
    ],
)
def test_a_document_of_an_earlier_build_agrees(fading, document):
    """It has no section on the strategy, or says there in other words what a parameter means."""
    write(fading.folder / "candles.parquet", fading_candles())
    resealed(fading, f"UPDATE trained_configurations SET document = {document}")
    assert command(monitor, fading.folder).status == 0
    finished = command(verify, fading.folder, "latest")
    assert finished.status == 0, finished.out


def test_a_file_that_grew_is_verified_on_its_old_part(fading):
    write(fading.folder / "candles.parquet", fading_candles())
    assert command(verify, fading.folder, "latest").status == 0


def test_a_changed_price(fading):
    columns = fading_candles()
    columns["volume"][1000] += 1.0
    write(fading.folder / "candles.parquet", columns)
    expected = "the candles are not those of the training: as many, of the same days, with other"
    assert_differs(command(verify, fading.folder, "latest"), expected)


def test_candles_that_were_cut_short(fading):
    write(fading.folder / "candles.parquet", fading_candles(), start=96, end=TRAINED_BARS - 1)
    finished = command(verify, fading.folder, "latest")
    assert_differs(finished, "the candles are not those of the training: first candle: stored"
                   " 2023-01-01 00:00 UTC, now 2023-01-02 00:00 UTC; last candle: ")  # fmt: skip
    assert "candles: stored 16320, now 16223" in finished.out


def test_candles_that_are_gone_are_named_and_may_lie_elsewhere(fading):
    (fading.folder / "candles.parquet").rename(fading.folder / "moved.parquet")
    finished = command(verify, fading.folder, "latest")
    assert finished.status == 2
    assert f"The candles of {fading.result['configuration_id']} cannot be loaded" in finished.err
    assert "candles.parquet does not exist" in finished.err
    again = command(verify, fading.folder, "latest", "data=file", "data.path=moved.parquet")
    assert again.status == 0


@pytest.mark.parametrize("module", [monitor, verify])
def test_to_name_a_file_is_no_advice_where_one_was_named(fading, module):
    finished = command(module, fading.folder, "latest", "data=file", "data.path=none.parquet")
    assert finished.status == 2
    said = finished.out + finished.err
    assert "none.parquet does not exist" in said
    assert "data=file data.path=FILE" not in said


def test_a_file_without_the_days_of_the_training(fading):
    write(fading.folder / "newer.parquet", fading_candles(), start=TRAINED_BARS)
    finished = command(verify, fading.folder, "latest", "data=file", "data.path=newer.parquet")
    assert finished.status == 2
    assert finished.err.startswith("newer.parquet holds none of the days that LIQUIDITY_SWEEP_V3_")
    assert "2023-01-01 00:00 UTC to 2023-06-19 23:45 UTC: name the file" in finished.err


def test_artifacts_that_are_gone(fading):
    shutil.rmtree(fading.artifacts[0])
    finished = command(verify, fading.folder, "latest")
    assert finished.status == 2
    assert "say where: storage.artifacts=FOLDER." in finished.err


# NumPy leaves a broken npz open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["trades.parquet", "windows.json", "scores.npz"])
def test_artifacts_that_are_damaged(fading, name):
    path = fading.artifacts[0] / name
    path.write_bytes(path.read_bytes()[:20])
    assert_differs(
        command(verify, fading.folder, "latest"), f"artifact {name} is not what was stored"
    )


def test_an_unknown_id_is_answered_with_the_nearest(fading):
    known = fading.result["configuration_id"]
    finished = command(verify, fading.folder, known[:-1] + "z")
    assert finished.status == 2
    assert finished.err.endswith(f"Did you mean '{known}'?\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "This takes the id of one configuration, or 'latest'; given: none."),
        (("latest", "latest"), "given: latest latest."),
        (("latest", "storage.url=sqlite:///other.db"), "There is no database other.db"),
        (("latest", "storge.url=x"), "Did you mean 'storage'?"),
        (("latest", "data=file"), "data.path must be given"),
        (("latest", "data=ccxt", "data.since=2024-01-01"), "leave out data.since."),
        (("latest", "data=ccxt", "data.history=30d"), "leave out data.history."),
    ],
)
def test_mistakes_are_answered(fading, arguments, sentence):
    finished = command(verify, fading.folder, *arguments)
    assert finished.status == 2
    assert sentence in finished.err
    assert not (fading.folder / "other.db").exists()


def test_a_split_on_generated_candles(here):
    finished = here(
        *QUICK, "optimizer=random", "validation=train_test_split", "validation.evidence=deciding"
    )
    verified = command(verify, finished.folder, "latest")
    assert verified.status == 0
    assert verified.out.startswith("SYNTHETIC candles: nothing below says anything about a market.")


def test_a_window_without_a_winner_is_days_without_trades(fading):
    (folder,) = fading.artifacts
    windows = json.loads((folder / "windows.json").read_text())
    windows[0]["parameters"] = None
    (folder / "windows.json").write_text(json.dumps(windows))
    lost = windows[0]["out_of_sample"]["sample_size"]
    traded = fading.result["out_of_sample"]["sample_size"]
    expected = f"number of trades: stored {traded}, now {traded - lost}"
    assert_differs(command(verify, fading.folder, "latest"), expected)
