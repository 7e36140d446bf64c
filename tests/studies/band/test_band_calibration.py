"""The calibration of the band and of the sequential test (validation rules §8.5)."""

import json

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.studies.band.__main__ import main
from pipeline.studies.band.measure import CHANGES, PROCESSES, first_sign_of_decay, together, watch
from pipeline.studies.band.tables import markdown
from pipeline.validation.decay import Period, reassess
from pipeline.validation.sequential import EARLINESS, LEVEL
from support.documents import ROOT

FIGURES = json.loads((ROOT / "docs" / "band.json").read_text("utf-8"))


def test_few_years_have_a_false_alarm_and_a_reversed_edge_has_many():
    """A small calibration: of 40 years without a change at most 3 is 99.9 % at a rate of 1.5 %."""
    watched = together([watch("normal", 300, seed, 200, cases=20) for seed in (1, 2)])
    count = dict(zip(CHANGES, (watched.alarm > 0).sum(axis=0), strict=True))
    assert count["nothing"] <= 3
    assert count["edge reversed"] >= 14
    assert watched.held.mean() > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_false_alarms_of_every_process(process):
    """500 years: 5 % and three standard errors."""
    watched = together([watch(process, 120, seed, 400) for seed in range(10)])
    assert (watched.alarm[:, 0] > 0).mean() <= 0.08


def test_a_block_is_the_same_whoever_draws_it():
    one, again = (watch("rare", 120, 5, 50, cases=3) for _ in range(2))
    assert one.alarm.tolist() == again.alarm.tolist()
    assert one.sharpe.tolist() == again.sharpe.tolist()


def test_the_first_sign_of_decay_is_that_of_the_rule():
    rng = np.random.default_rng(3)
    for _ in range(3):
        oos, live = rng.normal(0.002, 0.01, 150), rng.normal(0.001, 0.01, 120)
        stages = [
            reassess("MATURE", Period(oos, oos), Period(live[:n], live[:n])).stage
            for n in range(1, 121)
        ]
        decays = [n for n, stage in enumerate(stages, start=1) if stage == "DECAY"]
        assert first_sign_of_decay(oos, live) == (decays[0] if decays else 0)


def test_the_page_shows_the_figures_that_were_measured():
    page = (ROOT / "docs" / "band.md").read_text("utf-8")
    for table in markdown(FIGURES["cells"]).values():
        assert table in page


def test_the_page_is_of_this_test():
    assert (FIGURES["level"], FIGURES["earliness"]) == (LEVEL, EARLINESS)


@pytest.mark.parametrize("cell", FIGURES["cells"], ids=lambda c: f"{c['process']}-{c['oos_days']}")
def test_the_promise_was_kept(cell):
    assert cell["cases"] >= 1900
    assert cell["false_alarms"] <= 0.05 * cell["cases"]


def test_the_command_prints_its_tables(capsys, tmp_path):
    file = tmp_path / "figures.json"
    words = ["--cases", "1", "--paths", "20", "--processes", "normal", "--oos-days", "120"]
    assert main([*words, "--workers", "1", "--write", str(file)]) == 0
    (cell,) = json.loads(file.read_text("utf-8"))["cells"]
    assert (cell["process"], cell["cases"]) == ("normal", 50)
    assert "| normal | 120 | 50 |" in capsys.readouterr().out


def test_a_record_that_is_too_short_is_refused():
    with pytest.raises(UserError, match="--oos-days 59 is too short"):
        main(["--oos-days", "59"])
