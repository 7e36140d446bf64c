"""Count what was broken on purpose and what held: a plugin of pytest, loaded by `scripts/attack`.

A drill breaks something while it works: a database, a disk, a process, a connection. A hostile
input must be refused by a sentence. Tests are one of them by their marker or by the lists here.
A test tells how many inputs it tried with ``record_property("tried", n)``, and what it measured
with ``record_property("bound", "words: figure (limit)")``.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

#: Files below tests/ or their tests, whose names begin so.
KINDS = {
    "drill": (
        "executors/test_background.py",
        "executors/test_frozen_workers.py",
        "executors/test_no_orphans.py",
        "executors/test_worker_deaths.py",
        "market_data/test_fetch_drill.py",
        "market_data/test_store_damage.py",
        "market_data/test_store_kills.py",
        "places/test_full_disk.py",
        "places/test_read_only.py",
        "queue/test_frozen.py",
        "queue/test_namespaces.py",
        "queue/test_queue_kills.py",
        "queue/test_supervisor.py",
        "results/test_fencing.py",
        "results/test_leases.py",
        "results/test_patience.py",
        "results/test_reaping.py",
        "sweeps/test_away_sweep.py",
        "sweeps/test_kills.py",
        "training/test_away.py",
        "training/test_killed.py",
        "web/api/test_health.py",
        "web/api/test_log_gone.py",
    ),
    "hostile": (
        "config/test_refusals.py::test_refused_words",
        "market_data/test_archives.py",
        "market_data/test_files.py::test_damaged_file",
        "market_data/test_files.py::test_empty_file",
        "market_data/test_files.py::test_missing_column",
        "market_data/test_files.py::test_times_that_are_none",
        "market_data/test_market_files.py::test_files_that_are_no_candles",
        "places/test_terminal.py",
        "results/test_chain.py",
        "results/test_database.py::test_a_",
        "results/test_database.py::test_an_",
        "strategies/test_broken_files.py",
        "training/test_bad_input.py",
        "web/api/test_refused_requests.py",
        "web/api/test_schemathesis.py",
        "web/api/test_security.py",
    ),
}


@dataclass
class Count:
    """What became of the tests of one file."""

    tried: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    bounds: list[str] = field(default_factory=list)


COUNTS: dict[tuple[str, str], Count] = defaultdict(Count)


def kind_of(nodeid):
    """Drill, hostile or None, by the lists; ``nodeid`` is ``tests/file.py::test[case]``."""
    name = nodeid.removeprefix("tests/")
    for kind, listed in KINDS.items():
        if name.startswith(tuple(one if "::" in one else f"{one}::" for one in listed)):
            return kind
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what the lists name, before tests are chosen by marker."""
    for item in items:
        if (kind := kind_of(item.nodeid)) is not None:
            item.add_marker(kind)


def pytest_runtest_logreport(report):
    """Count a test once it was called, or could not be."""
    kind = next((kind for kind in KINDS if kind in report.keywords), None)
    if kind is None:
        return
    count = COUNTS[kind, report.nodeid.partition("::")[0]]
    count.seconds += report.duration
    if report.when == "call" or report.outcome != "passed":
        properties = dict(report.user_properties)
        tried = int(properties.get("tried", 1))
        count.tried += tried
        count.failed += tried if report.failed else 0
        count.skipped += tried if report.skipped else 0
        count.bounds += [text for name, text in report.user_properties if name == "bound"]


def table(counts):
    """Return the lines of the table, drills first."""
    lines = [f"{'':8}{'file':52}{'tried':>7}{'held':>7}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    for kind in KINDS:
        rows = {file: count for (of, file), count in sorted(counts.items()) if of == kind}
        total = Count(
            *(sum(getattr(row, name) for row in rows.values()) for name in ("tried", "failed")),
            sum(row.skipped for row in rows.values()),
            sum(row.seconds for row in rows.values()),
        )
        named = {name.removeprefix("tests/"): row for name, row in rows.items()}
        for name, row in [*named.items(), ("all", total)]:
            held = row.tried - row.failed - row.skipped
            lines.append(
                f"{kind:8}{name:52}{row.tried:7,}{held:7,}{row.failed:8,}{row.skipped:9,}"
                f"{row.seconds:9.1f}"
            )
    bounds = [text for count in counts.values() for text in count.bounds]
    return lines + (["bounds held:", *(f"  {text}" for text in bounds)] if bounds else [])


def pytest_terminal_summary(terminalreporter):
    """Print the table."""
    terminalreporter.section("attack")
    for line in table(COUNTS):
        terminalreporter.write_line(line)
