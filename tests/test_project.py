"""The files around the packages: what is installed, what can be typed."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import how_to_install

ROOT = Path(__file__).resolve().parents[1]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]


def test_constraints_are_names_and_versions_only():
    assert [line for line in PINS if not re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.]+", line)] == []
    names = [pin.partition("==")[0] for pin in PINS]
    assert sorted(set(names)) == names


def test_every_dependency_is_pinned_but_cupy():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[A-Za-z0-9_-]+", requirement)[0] for requirement in required}
    assert names <= {pin.partition("==")[0] for pin in PINS}


SCRIPTS = [ROOT / ".ci/run", *sorted((ROOT / "scripts").iterdir())]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_run(script):
    assert os.access(script, os.X_OK)
    if "bash" in script.read_text("utf-8").partition("\n")[0]:
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


LAUNCHERS = {path.name: path.read_text("utf-8") for path in SCRIPTS}
LAUNCHERS = {name: text for name, text in LAUNCHERS.items() if "\nlaunch " in text}


def test_a_command_that_is_typed_often_has_a_script():
    often = {
        "train",
        "sweep",
        "fetch",
        "check",
        "backtest",
        "explain",
        "verify",
        "store",
        "monitor",
        "report",
    }
    assert often | {"serve"} <= LAUNCHERS.keys()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, text in LAUNCHERS.items():
        extra, module = re.search(r'\nlaunch "?([a-z]*)"? (\S+) "\$@"\n', text).groups()
        assert extra in {"", *extras["optional-dependencies"]}
        assert module.endswith(f".{name.replace('-', '_')}")


def test_what_adds_an_extra_can_be_typed_as_it_is_shown(monkeypatch):
    monkeypatch.chdir(ROOT / "docs")
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    program, extra = how_to_install("report").split()
    assert os.access(program, os.X_OK)
    assert extra == "report"
    monkeypatch.setattr(sys, "prefix", "/another/environment")
    assert how_to_install("report") == f"{sys.executable} -m pip install -e '{ROOT}[report]'"
