"""What a test needs of the machine. Where it is missing the test is skipped, or fails in CI."""

import os

import pytest

#: Set by .ci/run: nothing that the machine could have may be missing there.
REQUIRE_ALL = "REQUIRE_ALL"


def skip(reason: str) -> None:
    """Skip the running test, or fail it where nothing may be missing."""
    if os.environ.get(REQUIRE_ALL):
        pytest.fail(f"{reason} ({REQUIRE_ALL} is set, so nothing may be missing)", pytrace=False)
    pytest.skip(reason)


def program(name: str | None, reason: str) -> pytest.MarkDecorator:
    """Return a mark for tests that need a program; ``name`` is None where it is missing."""
    return pytest.mark.needs(None if name else reason)


def check(item: pytest.Item) -> None:
    """Skip a test, or fail it, whose mark `program` has a reason to."""
    for mark in item.iter_markers("needs"):
        if mark.args[0] is not None:
            skip(mark.args[0])
