"""Run the file of a strategy in a process of its own, before the server runs it.

The server lives for months, and a file that never ends, or ends its process, would take it along.
"""

import pickle
import subprocess
import sys
from functools import lru_cache
from threading import Lock

from pipeline.errors import UserError
from pipeline.strategies.registry import Source

#: Seconds that a file may take to declare its strategy, the start of Python included.
LIMIT = 20.0

_ONE_AT_A_TIME = Lock()
_COMPLETE = b"complete"
_PROGRAM = """
import pickle, sys
answer, sys.stdout = sys.stdout.buffer, sys.stderr
source, sys.path[:] = pickle.load(sys.stdin.buffer)
from pipeline.errors import UserError
from pipeline.strategies.registry import load_strategy
try:
    load_strategy(*source)
except UserError:
    pass  # the server says it
answer.write(b"complete")
answer.flush()
"""


def run_apart(source: Source) -> Source:
    """Return a source once its file has declared its strategy, or failed to, within a limit.

    Raises
    ------
    UserError
        When the file does not end, or ends its process. It is run again when its text is another.
    """
    if source.text is None:
        return source
    with _ONE_AT_A_TIME:
        fault = _fault(source)
    if fault is not None:
        raise UserError(f"{source.file or source.word} {fault}, so this server does not run it.")
    return source


@lru_cache(maxsize=64)
def _fault(source: Source) -> str | None:
    try:
        outcome = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=pickle.dumps((tuple(source), sys.path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"has not declared its strategy within {LIMIT:g} s"
    return None if outcome.stdout == _COMPLETE else "ends the process that runs it"
