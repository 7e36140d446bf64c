"""Finished markets survive the end of a process, and nothing else does."""

import pytest

from pipeline.errors import UserError
from pipeline.studies.calibrate.journal import Journal
from pipeline.studies.calibrate.markets import Edge


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "new")


def test_what_is_written_is_read(journal, outcome, known):
    both = outcome(), outcome("planted", 3, Edge(8.0, 1.0), "MATURE", sharpe_ratio=2.5)
    assert journal.read(lambda market: "f") == {}
    for one in both:
        journal.append(one)
    assert journal.read(lambda market: "f") == known(*both)


def test_a_torn_line_is_dropped(journal, outcome, known):
    journal.append(outcome())
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + whole[:40])
    assert journal.read(lambda market: "f") == known(outcome())
    assert journal.path.read_bytes() == whole


def test_another_fingerprint_is_refused(journal, outcome):
    journal.append(outcome())
    with pytest.raises(UserError, match="line 1 was measured with another configuration, other"):
        journal.read(lambda market: "g")


def test_gates_of_today_judge_what_was_measured_before(journal, outcome):
    journal.append(outcome(stage="MATURE"))
    assert '"stage": "MATURE"' in journal.path.read_text("utf-8")
    journal.path.write_text(journal.path.read_text("utf-8").replace("MATURE", "PAPER"), "utf-8")
    (read,) = journal.read(lambda market: "f").values()
    assert read.stage == "MATURE"


def test_a_figure_that_the_gates_wait_for_and_nobody_computed_is_refused(journal, outcome):
    lacking = outcome(stage="VALIDATION")
    del lacking.figures["surrogate_p"]
    journal.append(lacking)
    with pytest.raises(UserError, match="line 1 was measured with another configuration, other"):
        journal.read(lambda market: "f")


def test_what_nobody_asks_about_is_passed_over(journal, outcome, known):
    journal.append(outcome())
    journal.append(outcome("permuted"))
    expected = {"permuted": "f", "synthetic": None}
    assert journal.read(lambda market: expected[market.kind]) == known(outcome("permuted"))


def test_a_line_that_is_no_market_is_named(journal, outcome):
    journal.append(outcome())
    journal.path.write_text("{}\n" + journal.path.read_text("utf-8"), "utf-8")
    with pytest.raises(UserError, match="line 1 is no market: remove the line"):
        journal.read(lambda market: "f")


def test_two_calibrations_do_not_share_a_folder(journal):
    with journal.locked():
        other = Journal(journal.path.parent)
        with pytest.raises(UserError, match=r"Another calibration is at work in .*new: wait"):
            other.locked().__enter__()
    with other.locked():
        pass


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--out .*file cannot be made"):
        Journal(tmp_path / "file")
