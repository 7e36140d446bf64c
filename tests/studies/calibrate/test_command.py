"""The command: workers change nothing, an interrupt loses nothing, and the small tier."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pyarrow
import pyarrow.parquet
import pytest

from pipeline.errors import UserError
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.strategies.registry import BUILT_IN
from pipeline.studies.calibrate.__main__ import main
from pipeline.studies.calibrate.markets import NULL_KINDS
from support.parameters import DEPTH, LOOKBACK, SIZE, VOLUME
from support.runs import ROOT

#: A grid that holds the planted combination, and takes no time.
HOLDS_PLANT = (
    f"strategy.parameters.{DEPTH}.grid=[0.001,0.002]",
    f"strategy.parameters.{VOLUME}.grid=[2.0,3.0]",
    f"strategy.parameters.{SIZE}.grid=[1.0]",
    f"strategy.parameters.{LOOKBACK}.grid=[100]",
)
FOUND = {"VALIDATION", "MATURE"}


def _lines(folder):
    lines = (folder / "markets.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def candles(tmp_path):
    """A file of half a year named as a market's."""
    raw = synthetic_candles(180, "5m", seed=99)
    table = pyarrow.table({name: getattr(raw, name) for name in COLUMNS})
    path = tmp_path / "binance_BTC-USDT_5m_invented.parquet"
    pyarrow.parquet.write_table(table, path)
    return path


@pytest.mark.slow
def test_the_small_tier(tmp_path, candles):
    """What continuous integration calibrates: nothing is found but the plant."""
    asked = ["--nulls", "2", "--costs", "exchange,none", "--planted", "2", "--edges", "5x1"]
    asked += ["--candles", str(candles), "--out", str(tmp_path), "--write", str(tmp_path)]
    assert main([*asked, *HOLDS_PLANT]) == 0
    values = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    assert [group["kind"] for group in values["null"]] == 2 * list(NULL_KINDS)
    assert [group["markets"] for group in values["strict"]] == [10, 10]
    assert values["strict"][0]["at_least"]["VALIDATION"]["count"] == 0
    assert [group["kind"] for group in values["controls"]] == 2 * ["real", "reversed"]
    assert values["real_days"]["5m"] == {
        "files": 1, "coins": 1, "coin_days": 180, "calendar_days": 180,
    }  # fmt: skip
    (planted,) = values["planted"]
    assert planted["at_least"]["VALIDATION"]["count"] == planted["markets"] == 2
    assert planted["planted_sharpe"] == pytest.approx(5, abs=0.5)
    assert planted["oos_sharpe"]["median"] > 2


def test_workers_change_nothing(tmp_path, quick, trained):
    asked = ["--timeframes", "1h", "--nulls", "2", "--planted", "0", "--out", str(tmp_path)]
    assert main([*asked, *quick]) == 0
    lines = sorted(_lines(tmp_path), key=lambda line: (line["kind"], line["seed"]))
    here = [trained(kind, seed, quick) for kind in ("garch_t", "synthetic") for seed in range(2)]
    assert [(x["stage"], x["figures"]) for x in lines] == [(x.stage, x.figures) for x in here]


@pytest.fixture
def interrupted(tmp_path, quick):
    """Exit status of a long run that Ctrl-C reached, all its processes, after the first market."""
    command = [
        sys.executable,
        "-m",
        "pipeline.studies.calibrate",
        "--timeframes",
        "1h",
        "--nulls",
        "500",
        "--planted",
        "0",
    ]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path), *quick],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not (tmp_path / "markets.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_an_interrupt_leaves_a_file_to_go_on_from(tmp_path, quick, interrupted, capsys):
    status, err = interrupted
    assert status == 130
    assert "Traceback" not in err
    assert "keeps what is finished; the same command goes on." in err
    done = len(_lines(tmp_path))
    assert 1 <= done < 1000
    asked = ["--timeframes", "1h", "--nulls", str(done), "--planted", "0"]
    assert main([*asked, "--out", str(tmp_path), *quick]) == 0
    assert f"{done} of {2 * done} markets are there already" in capsys.readouterr().err
    lines = [(line["kind"], line["seed"]) for line in _lines(tmp_path)]
    assert sorted(lines) == [(kind, s) for kind in ("garch_t", "synthetic") for s in range(done)]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--nulls", "-1"],
        ["--edges", "4x1,4x1"],
        ["--edges", "4"],
        ["--edges", "0x2"],
        ["--timeframes", "7m"],
        ["--costs", "half"],
        ["--workers", "0"],
    ],
)
def test_a_number_that_cannot_be(wrong, capsys):
    with pytest.raises(SystemExit):
        main(wrong)
    assert f"argument {wrong[0]}: must" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--nulls", "0", "--planted", "0"], "ask for no market: there is nothing to do"),
        (["--candles", "x.parquet"], "--candles x.parquet does not exist."),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, asked, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        main([*asked, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("timeframes", "sentence"),
    [
        ("15m", "holds candles of 5m, and --timeframes has only 15m: add 5m, or leave the file"),
        ("5m,15m", "--timeframes 15m has no file among --candles: give one, or leave it out."),
    ],
)
def test_files_and_timeframes_must_agree(tmp_path, candles, timeframes, sentence):
    asked = ["--timeframes", timeframes, "--candles", str(candles)]
    with pytest.raises(UserError, match=re.escape(sentence)):
        main([*asked, "--out", str(tmp_path / "out")])


@pytest.mark.slow
def test_the_plant_is_found(tmp_path):
    main(["--nulls", "0", "--planted", "10", "--edges", "5x1", "--out", str(tmp_path)])
    assert sum(year["stage"] in FOUND for year in _lines(tmp_path)) >= 8
    assert len(_lines(tmp_path)) == 10


@pytest.mark.slow
def test_the_null_is_not(tmp_path):
    main(["--nulls", "20", "--planted", "0", "--out", str(tmp_path)])
    stages = [year["stage"] for year in _lines(tmp_path)]
    assert len(stages) == 40
    assert sum(stage in FOUND for stage in stages) <= 4


@pytest.mark.slow
def test_a_broken_file_stops_no_other(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.py").write_text("def broken(:\n", "utf-8")
    monkeypatch.setenv("STRATEGY_PATH", str(tmp_path))
    words = ["--timeframes", "4h", "--nulls", "1", "--planted", "0", "--out", str(tmp_path)]
    words += ["data.days=400", "optimizer=random", "optimizer.samples=20"]
    assert main([*words, "--strategies", "all"]) == 0
    assert "strategies=all leaves out broken: " in capsys.readouterr().err
    assert {line["cell"]["strategy"] for line in _lines(tmp_path)} == set(BUILT_IN)
