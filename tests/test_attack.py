"""The lists of `scripts/attack` name tests that are there, and its table counts them."""

import subprocess
from types import SimpleNamespace

import pytest

from support import attack


@pytest.mark.parametrize("name", ["attack", "test"])
def test_help_shows_how_it_is_called(name):
    script = attack.TESTS.parent / f"scripts/{name}"
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    usage, *lines = shown.splitlines()
    assert usage.startswith(f"usage: scripts/{name} ")
    assert len([line for line in lines if line.strip().startswith(f"scripts/{name}")]) >= 3
    assert any("Exit status: 0 all" in line for line in lines)


@pytest.mark.parametrize("name", [name for names in attack.KINDS.values() for name in names])
def test_what_is_listed_is_there(name):
    file, _, test = name.partition("::")
    assert f"def {test or 'test_'}" in (attack.TESTS / file).read_text()


def report(nodeid, outcome="passed", kind="drill", **properties):
    return SimpleNamespace(
        nodeid=nodeid,
        keywords={kind: 1},
        when="call",
        outcome=outcome,
        failed=outcome == "failed",
        skipped=outcome == "skipped",
        duration=1.5,
        user_properties=list(properties.items()),
    )


def test_tests_and_inputs_are_counted(monkeypatch):
    monkeypatch.setattr(attack, "COUNTS", attack.defaultdict(attack.Count))
    attack.pytest_runtest_logreport(report("tests/a.py::test_a", bound="memory: 3 MB (5)"))
    attack.pytest_runtest_logreport(report("tests/a.py::test_b", "failed"))
    attack.pytest_runtest_logreport(report("tests/b.py::test_c", kind="hostile", tried=40))
    attack.pytest_runtest_logreport(report("tests/b.py::test_d", "skipped", kind="hostile"))
    attack.pytest_runtest_logreport(report("tests/c.py::test_e", kind="slow"))
    lines = [line.split() for line in attack.table(attack.COUNTS)]
    assert ["drill", "a.py", "2", "1", "1", "0", "3.0"] in lines
    assert ["hostile", "all", "41", "40", "0", "1", "3.0"] in lines
    assert ["memory:", "3", "MB", "(5)"] in lines


@pytest.mark.parametrize(
    ("nodeid", "kind"),
    [
        ("tests/queue/test_frozen.py::test_x", "drill"),
        ("tests/results/test_database.py::test_a_url[1]", "hostile"),
        ("tests/results/test_database.py::test_postgresql", None),
        ("tests/test_house.py::test_lines", None),
    ],
)
def test_kinds_by_name(nodeid, kind):
    assert attack.kind_of(nodeid) == kind
