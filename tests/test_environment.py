"""`scripts/environment` makes, extends and mends the environment, and says what it does.

`uv` is a fake here: nothing is downloaded, and the environment is only a link to this Python.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys

import pytest

from support.documents import ROOT
from support.waiting import until

PROJECT = """
[project]
name = "nothing"
[project.optional-dependencies]
studio = ["fastapi>=1", "nicegui"]
"""
UV = f"""#!/bin/sh
wait_without() {{ n=0; while test -e "$1" && test $n -lt 6000; do sleep 0.02; n=$((n + 1)); done; }}
echo "$@" >> calls
case $1 in
    venv) rm -rf .venv && mkdir -p .venv/bin && ln -s "{sys.executable}" .venv/bin/python ;;
    pip)
        test ! -e before || {{ touch waiting; wait_without before; }}
        test ! -e broken || {{ echo "error: no https://user:secret@host/numpy"; exit 2; }}
        echo "Resolved 59 packages in 1ms"
        test ! -e between || {{ touch waiting; wait_without between; }}
        ;;
esac
"""
#: A Python whose venv and pip are fakes; pip brings a uv where there is one to bring.
PYTHON = f"""#!/bin/sh
case "$*" in
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip config list")
        printf "%s\\n" ":env:.cert='/a b/ca.pem'" "global.{"index"}-url='https://host/mirror'" ;;
    "-m pip install"*" uv") test ! -e brought || cp brought .venv/bin/uv ;;
    "-m pip install"*) echo "$@" >> calls; echo "Installing collected packages: a b" ;;
    "-m pip "*) ;;
    *) exec "{sys.executable}" "$@" ;;
esac
"""
SCRIPT = """
set -euo pipefail
source scripts/environment
prepare "$@"
echo ready
"""
MAKING = "Making the Python environment in .venv ... N s (Python 3.N)"
TRAINING = "Installing what training needs ... N s (59 packages)"


@pytest.fixture
def clone(tmp_path):
    """A repository without an environment, and a fake uv."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/environment", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(UV)
    (tmp_path / "bin/uv").chmod(0o755)
    return tmp_path


@pytest.fixture
def clone_without_uv(clone):
    """The same on a machine without uv; its Python is a fake."""
    (clone / "bin/uv").unlink()
    (clone / "bin/python3").write_text(PYTHON)
    (clone / "bin/python3").chmod(0o755)
    return clone


def start(clone, *extra, stderr=subprocess.PIPE):
    """Start a command that needs the environment, in a process group of its own."""
    return subprocess.Popen(
        ["bash", "-c", SCRIPT, "bash", *extra],
        cwd=clone,
        env=os.environ | {"PATH": f"{clone}/bin:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def said(process):
    """What a start prints before its command, a line each."""
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "ready\n"), err
    return seconds_aside(err).splitlines()


def seconds_aside(text):
    return re.sub(r"\d+ s\b", "N s", re.sub(r"Python 3\.\d+", "Python 3.N", text))


def stop_while_waiting(clone, process, sent):
    """End a start, and all that it has started, while its packages are being installed."""
    until(lambda: (clone / "waiting").exists())
    os.killpg(process.pid, sent)
    process.communicate()
    for name in ("before", "between"):
        (clone / name).unlink(missing_ok=True)


def installs(clone):
    """What was installed each time."""
    calls = (clone / "calls").read_text().splitlines()
    return [call.rpartition(" ")[2] for call in calls if "pip install" in call]


def test_the_first_start_says_its_steps_and_the_second_nothing(clone):
    assert said(start(clone)) == [MAKING, TRAINING]
    assert said(start(clone)) == []


def test_an_extra_is_added_once_and_its_packages_are_named(clone):
    said(start(clone))
    adding = "Adding what the Studio needs (fastapi, nicegui) ... N s (59 packages)"
    assert said(start(clone, "studio")) == [adding]
    assert said(start(clone, "studio")) == []
    assert said(start(clone)) == []


def test_the_full_set_serves_those_who_need_less(clone):
    assert said(start(clone, "dev"))[1].startswith("Installing what the tests need ...")
    assert said(start(clone, "studio")) == said(start(clone)) == []


def test_a_change_of_the_requirements_is_one_step_for_all_that_is_there(clone):
    said(start(clone))
    said(start(clone, "studio"))
    (clone / "pyproject.toml").write_text(f"{PROJECT}[tool.pytest.ini_options]\n")
    assert said(start(clone)) == []
    (clone / "constraints.txt").write_text("numpy==2.0\n")
    again = "Installing again: pyproject.toml or constraints.txt changed ... N s (59 packages)"
    assert said(start(clone)) == [again]
    assert said(start(clone, "studio")) == []
    assert installs(clone) == [str(clone), f"{clone}[studio]", f"{clone}[studio]"]


def test_what_a_kill_left_half_done_is_made_again(clone):
    said(start(clone))
    (clone / "between").touch()
    stop_while_waiting(clone, start(clone, "studio"), signal.SIGKILL)
    assert said(start(clone)) == [MAKING, TRAINING]


def test_ctrl_c_before_anything_changed_keeps_the_environment(clone):
    said(start(clone))
    (clone / "before").touch()
    process = start(clone, "studio")
    stop_while_waiting(clone, process, signal.SIGINT)
    assert process.returncode == 130
    assert said(start(clone)) == []


def test_two_starts_install_once(clone):
    (clone / "between").touch()
    first = start(clone)
    until(lambda: (clone / "waiting").exists())
    second = start(clone)
    waits = "Waiting for another start to prepare the environment ..."
    assert second.stderr.read(len(waits)) == waits
    (clone / "between").unlink()
    assert said(first)[0] == MAKING
    (seconds,) = said(second)
    assert seconds == " N s"
    assert len(installs(clone)) == 1


def test_a_failure_hides_addresses_and_the_next_start_tries_again(clone):
    (clone / "broken").touch()
    process = start(clone)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert "Installing what training needs ... N s: failed\n" in seconds_aside(err)
    assert err.endswith("error: no (address)\n")
    (clone / "broken").unlink()
    assert said(start(clone)) == [TRAINING]


def test_without_uv_pip_brings_it_and_tells_it_its_settings(clone_without_uv):
    clone = clone_without_uv
    uv = UV.replace("$@", "$SSL_CERT_FILE $UV_DEFAULT_INDEX $@")
    (clone / "brought").write_text(uv)
    (clone / "brought").chmod(0o755)
    assert said(start(clone)) == [MAKING, TRAINING]
    (call,) = (clone / "calls").read_text().splitlines()
    assert call.startswith("/a b/ca.pem https://host/mirror pip install")
    (clone / "broken").touch()
    two = "Adding what the Studio needs (fastapi, nicegui) ... N s (2 packages)"
    assert said(start(clone, "studio")) == [two]
    assert installs(clone) == [str(clone), *[f"{clone}[studio]"] * 2]  # uv, then pip


def test_where_uv_cannot_be_had_pip_installs(clone_without_uv):
    assert said(start(clone_without_uv))[1] == TRAINING.replace("59", "2")
    assert installs(clone_without_uv) == [str(clone_without_uv)]


def test_an_extra_that_does_not_exist_is_refused(clone):
    asked = subprocess.run(
        ["scripts/environment", "studo"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 2
    assert asked.stderr == "scripts/environment takes one of studio, or nothing; given: studo\n"


def test_a_terminal_shows_the_seconds_pass(clone):
    (clone / "between").touch()
    screen, terminal = pty.openpty()
    process = start(clone, stderr=terminal)
    os.close(terminal)
    passed, shown = r"\r\x1b\[KInstalling what training needs \.\.\. [1-9]\d* s \(59 packages\)", ""
    while not re.search(passed, shown):
        shown += os.read(screen, 10_000).decode()
    (clone / "between").unlink()
    process.communicate()
    shown += os.read(screen, 10_000).decode()
    os.close(screen)
    assert re.search(rf"{passed}\r", shown)
