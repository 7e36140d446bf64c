"""`scripts/train -m`: every market its own job, all of them judged together."""

import pytest

from pipeline.validation.stages import deciding_p
from support.databases import later_events
from support.runs import QUICK, SMALL_GRID, ask, run
from support.sweeping import NEVER

GENERATED = ("data=synthetic", *QUICK[1:], "optimizer=grid", *SMALL_GRID, "backend=numpy")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two markets that are trained and, between them, one that generated candles are not for."""
    folder = tmp_path_factory.mktemp("mixed")
    return run(folder, "-m", "market=demo,btc_binance_1h,demo_null", *GENERATED)


def test_the_customers_glob_starts_24_jobs(tmp_path):
    markets = "market=glob([*_binance_*,*_kraken_*])"
    finished = run(tmp_path, "-m", markets, "data=synthetic", "optimizer=random")
    assert finished.status == 1
    overrides = finished.folder.glob("var/multirun/*/*/*/.hydra/overrides.yaml")
    assert len({path.read_text("utf-8") for path in overrides}) == 24
    assert "24 markets: 24 failed." in finished.out


def test_a_market_that_fails_stops_no_other(mixed):
    assert mixed.status == 1
    assert len(mixed.configurations) == 2
    assert "1 failed." in mixed.out
    assert "\nbtc_binance_1h failed: " in mixed.out
    assert "do not belong together" in mixed.out
    assert "SQLiteImpl" not in mixed.err


def test_markets_that_completed_are_judged_together(mixed):
    found = mixed.configurations
    p = sorted(deciding_p(one.statistics) for one in found)
    q = sorted(one.statistics["fdr_q_value"] for one in found)
    assert q == pytest.approx([min(2 * p[0], p[1]), p[1]])
    for one in found:
        (event,) = ask(mixed.folder, lambda repository, of=one.id: later_events(repository, of))
        assert (event.kind, event.figures["tests"]) == ("sweep", 2)


def test_a_market_that_stored_nothing_counts(tmp_path):
    """Two trainings on one market; one finds nothing to store."""
    (tmp_path / "never.py").write_text(NEVER, "utf-8")
    words = ("market=demo_null", *QUICK[1:], "optimizer=random", "optimizer.samples=5")
    finished = run(tmp_path, "-m", "strategy=liquidity_sweep,never.py", *words)
    assert finished.status == 0, finished.err
    (only,) = finished.configurations
    expected = min(1.0, 2 * deciding_p(only.statistics))
    assert only.statistics["fdr_q_value"] == pytest.approx(expected)
    (event,) = ask(tmp_path, lambda repository: later_events(repository, only.id))
    assert event.figures["tests"] == 2


def test_a_refused_choice_starts_no_job(tmp_path):
    finished = run(tmp_path, "-m", "optimizer=grid,gird")
    assert finished.status == 2
    assert "market" not in finished.out
