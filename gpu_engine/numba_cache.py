"""Compile functions with Numba, and keep compiled code where it can be kept.

To see whether kept code is stale, Numba looks at the file that holds the function and at no other.
But what a kernel takes from another file is compiled into it. So a kernel's name among the kept
files ends in a digest of all of the engine's files.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


def _can_keep() -> bool:
    """Say whether Numba can write compiled code; where it cannot, ``cache=True`` raises."""
    try:
        njit(cache=True)(_can_keep)
    except RuntimeError:
        return False
    return True


#: Whether compiled code is kept on disk. Who finds that what is there cannot be read or written
#: after all sets it to False, and loads the modules of kernels again.
KEEPS = _can_keep()


@cache
def digest() -> str:
    """Return a digest of the engine's files, 16 hexadecimal digits."""
    hashed = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:16]


def kernel(**options: Any) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function without fast-math; options as of `njit`."""

    def decorate(function: Any) -> Any:
        function.__qualname__ += f"_{digest()}"
        return njit(cache=KEEPS, **options)(function)

    return decorate
