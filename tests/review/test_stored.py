"""What a run leaves: database rows, the V3 document, artifacts, all telling the same."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from gpu_engine import METRICS, Window, marked_metrics, metrics_of
from pipeline.config import SimulationConfig, validate
from pipeline.results.artifacts.artifact_set import read_artifacts
from pipeline.results.document.document import validate_document
from pipeline.review.stored import evaluator_of, load_again, simulation_config
from pipeline.search.ranking import plateau
from support.parameters import DEPTH
from support.runs import QUICK, SMALL_SHAPE


@pytest.fixture(scope="module")
def artifacts(demo):
    (row,) = demo.configurations
    return read_artifacts(demo.folder / "var/artifacts", row.artifacts)


def test_the_row_is_what_result_json_says(demo):
    (row,), result = demo.configurations, demo.result
    assert (row.id, row.job_id) == (result["configuration_id"], result["job_id"])
    for name in ("parameters", "in_sample", "out_of_sample", "gates", "lifecycle_stage"):
        assert getattr(row, name) == result[name]
    assert row.provenance == result["provenance"]
    more = {name: result[name] for name in ("parameter_spread", "whole_history")}
    more["window_days"] = [{"train": w["train"], "test": w["test"]} for w in result["windows"]]
    assert row.statistics == result["statistics"] | more
    assert (row.exchange, row.pair, row.timeframe) == ("synthetic", "DEMO/USDT", "5m")
    assert row.is_active is False


def test_the_job_is_completed_and_knows_its_configuration(demo):
    (job,) = demo.jobs
    assert (job.status, job.progress, job.error) == ("completed", 1.0, None)
    assert (job.market, job.optimizer, job.seed) == ("synthetic:DEMO/USDT:5m", "grid", 0)
    assert job.started_at <= job.finished_at <= datetime.now(UTC)
    assert job.config_hash == demo.result["provenance"]["config_hash"]
    assert job.config["strategy"]["parameters"][DEPTH]["grid"] == [0.0005, 0.001, 0.002]
    assert "storage" not in job.config  # a password may be in it


def test_the_document_is_valid_and_tells_the_same(demo):
    (row,), result = demo.configurations, demo.result
    document = row.document
    validate_document(document)
    assert (document["id"], document["status"]) == (row.id, result["lifecycle_stage"])
    assert document["pattern"] == "LIQUIDITY_SWEEP_V3"
    assert document["parameters"] == result["parameters"]
    assert document["in_sample"] == result["in_sample"]
    assert document["performance"]["NET_PROFIT"] == result["out_of_sample"]["net_profit"]
    assert document["performance"]["sample_size"] == result["out_of_sample"]["sample_size"]
    for name in ("p_value", "z_score", "stability_score"):
        assert document["statistical_validation"][name] == result["statistics"][name]
    for name in ("data_hash", "config_hash", "engine_hash", "seed", "backend", "filled_candles"):
        assert document["metadata"][name] == result["provenance"][name]
    for name in ("first_candle", "last_candle"):  # the same moment, written Z or +00:00
        moments = (document["metadata"][name], result["provenance"][name])
        assert len(set(map(datetime.fromisoformat, moments))) == 1
    breakers = document["circuit_breakers"]
    assert (breakers["max_daily_loss"], breakers["consecutive_losses_limit"]) == (0.02, 5)
    assert breakers == row.circuit_breakers


def test_the_id_carries_the_moment(demo):
    pattern, _, moment = demo.result["configuration_id"][:-7].partition("_V3_")
    assert pattern == "LIQUIDITY_SWEEP"
    created = datetime.strptime(moment, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    assert timedelta(0) <= demo.jobs[0].finished_at - created < timedelta(minutes=1)


def test_everything_derived_from_invented_candles_says_so(demo):
    (row,) = demo.configurations
    assert row.synthetic is True
    assert row.document["metadata"]["synthetic"] is True
    assert demo.result["synthetic"] is demo.result["provenance"]["synthetic"] is True
    assert demo.out.splitlines()[0].startswith("SYNTHETIC")
    assert "Stage: SYNTHETIC" in demo.out


def test_out_of_sample_series_compound_to_the_metrics(demo, artifacts):
    series, expected = artifacts.out_of_sample, demo.result["out_of_sample"]
    assert len(series.returns) == expected["n_days"]
    assert (np.diff(series.day) == 1).all()
    assert np.prod(1 + series.returns) - 1 == pytest.approx(expected["net_profit"], rel=1e-12)
    again = marked_metrics(artifacts.trades["ret"], series.returns)
    for name in METRICS.names:
        assert again[name] == pytest.approx(expected[name], rel=1e-9), name
    closed = metrics_of(artifacts.trades["ret"], series.closed)
    for name, value in demo.result["statistics"]["closed"].items():
        assert closed[name] == pytest.approx(value, rel=1e-9), name


def test_in_sample_series_compounds_to_the_metrics(demo, artifacts):
    series, expected = artifacts.in_sample, demo.result["in_sample"]
    assert str(np.datetime64(int(series.day[-1]), "D")) == "2023-12-31"
    assert len(series.returns) == expected["n_days"] == 365
    assert np.prod(1 + series.returns) - 1 == pytest.approx(expected["net_profit"], rel=1e-12)


def test_a_configuration_from_before_windows_grew_is_still_read(demo):
    (job,), (row,) = demo.jobs, demo.configurations
    days = {"train": 90, "gap": 7, "test": 30, "step": None, "anchored": False}
    earlier = job.config | {"validation": {"method": "walk_forward", **days}}
    jobs = SimpleNamespace(read=lambda _: replace(job, config=earlier))
    config = simulation_config(SimpleNamespace(jobs=jobs), row)
    expected = {
        name: job.config[name] for name in SimulationConfig.model_fields if name in job.config
    }
    assert config == validate(expected, SimulationConfig)


def test_trades_lie_in_the_test_parts(demo, artifacts):
    windows = demo.result["windows"]
    first, last = np.array([window["test"] for window in windows], "datetime64[D]").T[:, :, None]
    bars_a_day = 24 * 12
    for name in ("entry_bar", "exit_bar"):
        day = np.datetime64("2023-01-01", "D") + artifacts.trades[name] // bars_a_day
        inside = ((day >= first) & (day <= last)).sum(axis=1)
        assert list(inside) == [w["out_of_sample"]["sample_size"] for w in windows]


def test_windows_are_kept(demo, artifacts):
    assert artifacts.windows == demo.result["windows"]


def winner_of(finished, surface):
    """Index in the surface of the stored parameters."""
    stored = finished.result["parameters"]
    return tuple(list(values).index(stored[name]) for name, values in surface.axes.items())


def closed_in_sample(finished, artifacts):
    """Metrics of the stored configuration by closed trades, as its search saw it."""
    (job,), (row,) = finished.jobs, finished.configurations
    stored = {
        name: job.config[name] for name in SimulationConfig.model_fields if name in job.config
    }
    config = validate(stored, SimulationConfig)
    candles = load_again(config, config.data, row, lambda text: None, named=False).candles
    evaluator = evaluator_of(config, candles, row.parameters)
    bars = np.searchsorted(candles.day, artifacts.in_sample.day[[0, -1]] + [0, 1])
    point = evaluator.space.point(row.parameters)
    return evaluator.points(point[None], [Window(*bars.tolist())])[0, 0]


def test_the_plateau_of_the_surface_is_highest_at_the_winner(demo, artifacts):
    surface = artifacts.scores
    assert surface.metrics["score"].shape == SMALL_SHAPE
    at = winner_of(demo, surface)
    closed = closed_in_sample(demo, artifacts)
    for name in ("net_profit", "sharpe_ratio", "max_drawdown", "win_rate", "sample_size"):
        assert surface.metrics[name][at] == np.float32(closed[name])
    for name in ("net_profit", "win_rate", "sample_size"):
        assert closed[name] == pytest.approx(demo.result["in_sample"][name], rel=1e-12)
    ranked = plateau(surface.metrics["score"].astype(float).ravel(), SMALL_SHAPE)
    assert ranked.reshape(SMALL_SHAPE)[at] == pytest.approx(np.nanmax(ranked), rel=1e-6)


def test_the_peak_of_the_surface_is_the_winner(peak):
    (row,) = peak.configurations
    surface = read_artifacts(peak.folder / "var/artifacts", row.artifacts).scores
    score = surface.metrics["score"]
    assert score[winner_of(peak, surface)] == np.nanmax(score)
    admissible = surface.metrics["sample_size"] >= 3  # min_trades of QUICK
    np.testing.assert_array_equal(np.isnan(score), ~admissible)
    assert peak.result["selection"] == "peak"


def test_only_a_grid_keeps_a_surface(here):
    few = ("optimizer.samples=50", "validation.surrogate_count=20")
    finished = here(*QUICK, "optimizer=random", *few)
    (folder,) = finished.artifacts
    names = {path.name for path in folder.iterdir()}
    parquet = {"in_sample.parquet", "out_of_sample.parquet", "trades.parquet", "trials.parquet"}
    assert names == {*parquet, "windows.json", "null.npz"}
    assert json.loads((folder / "windows.json").read_text()) == finished.result["windows"]
