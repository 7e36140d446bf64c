"""`scripts/paper` lifts a configuration by the days that it was watched, and by no others."""

from functools import partial

import numpy as np
import pytest

from gpu_engine import choose
from pipeline import paper
from pipeline.live import closing
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.results.records import ConfigurationEvent
from pipeline.strategies.registry import load_strategy
from pipeline.training.candles import plant_edge
from support.databases import later_events
from support.runs import ask, run_here
from support.stored import BARS_A_DAY, FADING, PLANTED, TRAINED_BARS, command, resealed, sql, write

FOLLOWED = 100


@pytest.fixture(scope="module")
def columns():
    """Columns of 270 days of 15m candles with one edge in all of them."""
    candles, _ = make_regular(synthetic_candles(270, "15m", 1, 0.6), "15m", "generated")
    strategy, backend = load_strategy("liquidity_sweep"), choose().backend
    planted = plant_edge(candles, strategy, PLANTED, 8.0, backend).candles
    return {name: getattr(planted, name) for name in COLUMNS}


@pytest.fixture
def unlucky(tmp_path, columns):
    """A training that monitoring held on PAPER once."""
    write(tmp_path / "candles.parquet", columns, end=TRAINED_BARS)
    finished = run_here(tmp_path, *FADING)
    assert finished.status == 0, finished.err

    def lower(repository):
        row = repository.configurations.read(finished.result["configuration_id"])
        gates = [{"stage": "PAPER", "name": "net_profit", "passed": False}]
        event = ConfigurationEvent(
            row.id, "monitor", row.lifecycle_stage, "PAPER", "It lost.", {"gates": gates}
        )
        repository.configurations.record_event(event, lambda document: document)

    ask(tmp_path, lower)
    return finished


def follow(finished, columns, days):
    bars = TRAINED_BARS + days * BARS_A_DAY + 1
    write(finished.folder / "candles.parquet", columns, end=bars)
    identity = finished.result["configuration_id"]
    ended = command(paper, finished.folder, identity, "--once")
    assert ended.status == 0, ended.err
    read = partial(ask, finished.folder)
    return (
        read(lambda repository: repository.configurations.read(identity)),
        [
            e
            for e in read(lambda repository: later_events(repository, identity))
            if e.kind == "watch"
        ],
        read(lambda repository: repository.live.account(identity)),
    )


def opened_at(finished, columns, days):
    """Have the account opened so many days after the last trained one."""
    at = int(columns["timestamp"][TRAINED_BARS]) + days * 86_400_000
    text = str(np.datetime64(at, "ms")).replace("T", " ") + "000"
    resealed(finished, "UPDATE configuration_events SET at = :at WHERE kind = 'followed'", at=text)


def test_days_that_were_watched_lift_it_and_days_from_before_do_not(unlucky, columns):
    row, rises, account = follow(unlucky, columns, 95)
    assert (row.lifecycle_stage, row.position_size, rises) == ("PAPER", 0.0, [])
    assert account.difference == ""
    # The account began today, and its candles are years old: nobody watched them.
    opened_at(unlucky, columns, 6)
    row, rises, _ = follow(unlucky, columns, 96)
    assert (row.lifecycle_stage, rises) == ("PAPER", [])  # 89 watched days
    row, rises, _ = follow(unlucky, columns, 97)
    assert (row.lifecycle_stage, row.position_size) == ("VALIDATION", 0.5)
    (rise,) = rises
    assert (rise.from_stage, rise.to_stage) == ("PAPER", "VALIDATION")
    assert (rise.figures["days"], rise.figures["accounts"]) == (90, 1)
    assert rise.figures["trades"] >= 30
    assert rise.figures["watched_p"] < 0.04
    assert follow(unlucky, columns, 98)[1] == rises


def test_what_the_account_says_of_its_opening_lifts_nothing(unlucky, columns, monkeypatch):
    """The audit trail says when the watching began, and a row that was edited does not."""
    follow(unlucky, columns, 95)
    at = str(np.datetime64(int(columns["timestamp"][TRAINED_BARS]), "ms")).replace("T", " ")
    sql(unlucky, "UPDATE paper_accounts SET started_at = :at", at=f"{at}000")
    row, rises, _ = follow(unlucky, columns, 97)
    assert (row.lifecycle_stage, rises) == ("PAPER", [])
    # Nor does anything rise on a day on which monitoring lowers, or has a gate that fails.
    opened_at(unlucky, columns, 6)
    for looked in (True, None):
        monkeypatch.setattr(closing, "_monitor", lambda *_, looked=looked: looked)
        assert follow(unlucky, columns, 97)[1] == []
    monkeypatch.undo()
    assert len(follow(unlucky, columns, 97)[1]) == 1
