"""What a person sees: a bar on a terminal, a line now and then elsewhere."""

import io

import pytest
from rich.console import Console as Terminal

from pipeline.cli import console


@pytest.fixture
def screen():
    """A console whose two streams are kept: (console, out, err)."""
    out, err = (Terminal(file=io.StringIO(), width=100, highlight=False) for _ in range(2))
    return console.Console(out, err), out.file, err.file


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until told."""
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_progress_without_a_terminal_is_a_line_every_five_seconds(screen, clock):
    shown, out, err = screen
    with shown.progress("search", 2_000) as advance:
        for _ in range(10):
            clock[0] += 1
            advance(100)
    assert out.getvalue() == ""
    assert err.getvalue().splitlines() == [
        "search: 500/2,000, 100/s, 15 s left",
        "search: 1,000/2,000, 100/s, 10 s left",
    ]


def test_what_is_left_of_long_work_is_in_minutes(screen, clock):
    shown, _, err = screen
    with shown.progress("search", 1_000_000) as advance:
        for done in (0, 100):
            clock[0] += 5
            advance(done)
    assert err.getvalue().splitlines() == [
        "search: 0/1,000,000, 0/s",
        "search: 100/1,000,000, 10/s, 1,666 min left",
    ]


def test_short_work_leaves_no_line(screen, clock):
    shown, _, err = screen
    with shown.progress("search", 10) as advance:
        advance(10)
    assert err.getvalue() == ""


def test_progress_on_a_terminal_is_a_bar():
    err = Terminal(file=io.StringIO(), width=100, force_terminal=True)
    with console.Console(err, err).progress("search", 40) as advance:
        advance(40)
    assert "search" in err.file.getvalue()
    assert "40/40" in err.file.getvalue()


def test_a_table_aligns_figures_to_the_right(screen):
    shown, out, err = screen
    shown.table("Verdict", ["metric", "in sample"], [["trades", 7], ["net profit", "+12.30 %"]])
    lines = out.getvalue().splitlines()
    assert lines[0].strip() == "Verdict"
    assert lines[-3].split("│")[1:3] == [" trades     ", "         7 "]
    assert err.getvalue() == ""


def test_results_and_notes_are_printed_as_they_are(screen):
    shown, out, err = screen
    shown.print("[bold]3 of 4[/bold]")
    shown.note("backend numba: no GPU")
    assert out.getvalue() == "[bold]3 of 4[/bold]\n"
    assert err.getvalue() == "backend numba: no GPU\n"
