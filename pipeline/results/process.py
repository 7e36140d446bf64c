"""Which process owns a job, told apart from a later one that was given the same number.

A process id alone is not an identity: after a reboot, or a long week, the number belongs to
something else. Together with the moment the process started it is one. On Linux that moment is
read from the kernel, in clock ticks since this boot; elsewhere ``ps`` tells it to the second.
"""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path


def host() -> str:
    """Name of this machine."""
    return socket.gethostname()


def started(pid: int) -> str | None:
    """Identity of the start of process ``pid``; None where no such process lives here.

    A zombie is dead: it has ended, and only its parent has not looked yet.
    """
    if Path("/proc/self/stat").exists():
        return _started_linux(pid)
    return _started_ps(pid)


def is_alive(pid: int, process_started: str) -> bool:
    """Whether the process that was ``pid`` and ``process_started`` on this host still runs."""
    return started(pid) == process_started


def own_start() -> str:
    """Identity of the start of this process."""
    moment = started(os.getpid())
    assert moment is not None, "this process runs"
    return moment


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may hold spaces and brackets.
    state, *rest = stat.rpartition(")")[2].split()
    if state in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{rest[18]}"  # field 22 of proc(5), starttime


def _started_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, moment = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else moment.strip()
