"""End a command that is stopped while Python still imports what it needs.

`python -m pipeline.COMMAND` imports the package `pipeline` first, and that calls `guard`. The
scripts hold the signals back until then (`scripts/environment`). This file imports nothing of its
own, for before it a stop would be a traceback.
"""

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress

CANCELLED, TERMINATED = 130, 143

#: What a stopped command says on standard error.
SENTENCES = {
    CANCELLED: "cancelled",
    TERMINATED: "terminated; what was stored before, if anything, is kept",
}

#: Ctrl-C; `kill`, containers and service managers; a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


#: The status of a stop that was said, if there was one.
_stopped: list[int] = []


def status_of(number: int) -> int:
    """Return the exit status of a command that a signal ends."""
    return CANCELLED if number == signal.SIGINT else TERMINATED


def guard() -> None:
    """Let signals end this process in one sentence, where it is a command that begins.

    ``sys.argv[0]`` is ``-m`` while Python looks for the module to run, and then alone: who imports
    the package, as a notebook does, keeps its own handlers. So do ignored signals, as of `nohup`.
    """
    if sys.argv[:1] != ["-m"]:
        return
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    atexit.register(_leave)  # before all others, so it runs after them
    collect_seldom()


def leave_with(status: int) -> None:
    """Have this process end with the status of a stop, once all that runs at its end has run."""
    _stopped.append(status)


def _leave() -> None:
    """End a command that was stopped with its own status.

    CPython ends itself by SIGINT instead where a Ctrl-C that was caught went through an `exec` of
    text, as dataclasses have it (`_Py_UnhandledKeyboardInterrupt` of Modules/main.c). To hold the
    signal is not enough: any other thread may take it.
    """
    if not _stopped:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(_stopped[-1])


def collect_seldom() -> None:
    """Look for garbage seldom, and not at the end: a start makes a million objects that stay.

    Walking them took 0.6 of the 2.8 s of a short training.
    """
    gc.set_threshold(20_000, 20, 50)
    atexit.register(gc.freeze)


def _end(number: int, _: object) -> None:
    status = status_of(number)
    with suppress(Exception):  # what was printed shall come first; nobody may be there to read it
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, f"{SENTENCES[status]}\n".encode())
    os._exit(status)
