"""The files around the packages: what is installed, what can be typed."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "script",
    [
        "scripts/train",
        "scripts/test",
        "scripts/conform",
        "scripts/bench",
        "scripts/schema",
        "scripts/serve",
        ".ci/run",
    ],
)
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
