"""No text of a file, a database or the command line reaches a terminal as anything but text."""

import contextlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console as Terminal

from pipeline import explain, monitor, sweep, verify
from pipeline.cli.command import run_plain
from pipeline.cli.console import Console, lasting_output, printable
from pipeline.report import __main__ as report
from pipeline.results.damage import DamagedRowError
from pipeline.results.rows.chain import EditedError
from support.runs import QUICK, Finished
from support.stored import command, copied

ROOT = Path(__file__).resolve().parents[2]

#: A title of the window, a colour, a line written over, text from right to left, and markup.
MARKUP = "[bold]b[/bold][link=http://a.b]l[/link]:smile:</script><i id=x>"
EVIL = f"\x1b]0;owned\x07\x9b31m\rx\u202e{MARKUP}"
SHOWN = rf"\x1b]0;owned\x07\x9b31m\x0dx\u202e{MARKUP}"


def check_harmless(*texts):
    for text in texts:
        strange = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - {"\n", "\t"}
        assert not strange
        text.encode("utf-8")


@pytest.fixture
def screen():
    """A console on two terminals, and what they were sent."""
    streams = io.StringIO(), io.StringIO()
    terminals = [Terminal(file=stream, width=200, highlight=False) for stream in streams]
    return Console(*terminals), *streams


def test_what_a_console_writes(screen):
    console, out, err = screen
    console.print(EVIL)
    console.note(EVIL)
    console.table(EVIL, (EVIL, "figure"), [(EVIL, 1)])
    with console.progress(EVIL, 1) as advance:
        advance(1)
    check_harmless(out.getvalue(), err.getvalue())
    assert out.getvalue().count(SHOWN) == 4
    assert err.getvalue().count(SHOWN) == 1


def test_a_stored_end_of_a_line_begins_no_line(screen):
    console, out, err = screen
    forged = "X\nVerified: this is what was stored."
    console.print(forged)
    console.note(forged)
    console.table("", ("id",), [(forged,)])
    for error in (DamagedRowError("sweeps", forged, ValueError()), EditedError(forged, ["so"])):
        assert "\n" not in str(error)
    lines = [line.strip() for line in (out.getvalue() + err.getvalue()).splitlines()]
    assert [line for line in lines if line.startswith("Verified")] == []
    assert (out.getvalue() + err.getvalue()).count(r"\x0aVerified") == 3


def test_a_bar_of_progress():
    err = Terminal(file=io.StringIO(), width=200, force_terminal=True)
    with Console(err, err).progress(EVIL, 1) as advance:
        advance(1)
    assert SHOWN in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err.file.getvalue())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünï → 漢字 \u00a0 1 %", "plain, ünï → 漢字 \u00a0 1 %"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", r"a\x0d" + "\nb"),
        ("\udc80 \u2066 \U000e0041", r"\udc80 \u2066 \U000e0041"),
        ("\x7f\x85\u2028", r"\x7f\x85\u2028"),
    ],
)
def test_what_is_written_out(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def plain(main):
    """How a command ends that composes no run."""
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1], pytest.raises(SystemExit) as ended:
        run_plain(main)
    return Finished(ended.value.code, out.getvalue(), err.getvalue(), None)


def test_a_traceback():
    def main():
        raise RuntimeError(EVIL)

    ended = plain(main)
    assert (ended.status, ended.out) == (1, "")
    assert f"RuntimeError: {SHOWN}" in ended.err
    check_harmless(ended.err)


@pytest.mark.parametrize("words", [[f"--{EVIL}"], [f"markets={EVIL}"], [f"markets=demo {EVIL}"]])
def test_words_of_a_command_line(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = plain(lambda: sweep.main(words))
    assert ended.status == 2
    check_harmless(ended.out, ended.err)


def test_names_of_files(here, tmp_path):
    own = tmp_path / f"a{EVIL.replace('/', '')}.py"
    own.write_text("x = 1\n")
    candles = tmp_path / f"c{EVIL.replace('/', '')}.csv"
    candles.write_text(f"time,{EVIL}\n1,2\n")
    for words in (
        [f"strategy='{own}'"],
        [f"objective='{own}'", f"strategy_path='{own}'"],
        ["market=btc_binance_1h", "data=file", f"data.path='{candles}'"],
        [f"{EVIL}=1"],
    ):
        ended = here(*QUICK[1:], *words)
        assert ended.status == 2, ended.err
        check_harmless(ended.out, ended.err)


#: Texts of the database that a hand may have changed, and keys that hold rows together.
KEYS = ("id", "job_id", "configuration_id", "sweep_id", "version_num", "owner", "identity")


def poisoned(value):
    """JSON with the poison at the end of every text that is no number and no known word."""
    if isinstance(value, dict):
        return {key: poisoned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return value + EVIL if isinstance(value, str) else value


def columns(path):
    """Every column of text that is not empty, as (table, column)."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({table})"):
                filled = connection.execute(f"SELECT count({name}) FROM {table}").fetchone()[0]
                if filled and name not in KEYS and kind.startswith(("VARCHAR", "TEXT", "JSON")):
                    yield table, name


def poison(path, table, column):
    """Change a column of every row by hand, past all constraints."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        for row, value in rows:
            try:
                changed = json.dumps(poisoned(json.loads(value)))
            except (TypeError, ValueError):
                changed = f"{value}{EVIL}"
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, row))


COMMANDS = ((explain, "latest"), (monitor,), (report, "latest", "-o", "page.html"))


def check_commands(folder, commands):
    for module, *words in commands:
        ended = command(module, folder, *words)
        assert ended.status in (0, 1, 2)
        check_harmless(ended.out, ended.err)
    page = folder / "page.html"
    if page.exists():
        assert "<i id=x>" not in page.read_text("utf-8")
        page.unlink()


@pytest.fixture
def database(peak, tmp_path):
    """A stored configuration whose database is to be poisoned."""
    return copied(peak, tmp_path / "poisoned").folder / "var/trainings.db"


@pytest.mark.parametrize(
    ("alone", "commands"),
    [
        (("exchange", "lifecycle_stage", "gates", "provenance"), COMMANDS),
        pytest.param(None, (*COMMANDS, (verify, "latest")), marks=pytest.mark.slow),
    ],
)
def test_a_database_changed_by_hand(database, alone, commands):
    """Columns of text one by one (all where ``alone`` is None), then all of them together."""
    clean = database.read_bytes()
    places = list(columns(database))
    for table, column in places:
        if alone is None or (table == "trained_configurations" and column in alone):
            database.write_bytes(clean)
            poison(database, table, column)
            check_commands(database.parents[1], commands)
    for place in places:
        poison(database, *place)
    check_commands(database.parents[1], commands)


@pytest.mark.parametrize("lost", ["stdout", "stderr"])
@pytest.mark.parametrize(("status", "ends"), [(0, 1), (2, 2)])
def test_lines_that_a_full_disk_does_not_take_are_told_on_what_is_left(
    monkeypatch, lost, status, ends
):
    left = io.StringIO()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full if lost == "stdout" else left)
        monkeypatch.setattr(sys, "stderr", full if lost == "stderr" else left)
        with lasting_output() as ended:
            print("a line", file=getattr(sys, lost))
            assert ended(status) == ends
    name = {"stdout": "output", "stderr": "error"}[lost]
    assert left.getvalue().startswith(f"Lines are missing from standard {name}: ")
    assert left.getvalue().count("\n") == 1


def test_output_that_is_taken_changes_nothing(capsys):
    before = sys.stdout, sys.stderr
    with lasting_output() as ended:
        print("a line")
        assert [ended(0), ended(2)] == [0, 2]
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("a line\n", "")


@pytest.mark.parametrize(
    ("name", "end", "lines"),
    [("train", "| true; exit ${PIPESTATUS[0]}", 0), ("explain", ">&-", 1)],
)
def test_a_help_that_nobody_reads_is_no_success(tmp_path, name, end, lines):
    """A reader who has left, and a standard output that is closed."""
    script = f"( sleep 0.3; exec '{sys.executable}' -m pipeline.{name} --help ) {end}"
    ended = subprocess.run(
        ["bash", "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == lines
    assert ended.stderr[:5] in ("", "Lines")
