"""Hold the size of the house: these bounds may only fall (`scripts/house` prints the figures)."""

import pytest

from support.source_tree import measure


@pytest.fixture(scope="module")
def house():
    return measure()


def test_commands_are_the_only_loose_files(house):
    assert len(house.loose) <= 10


def test_no_two_folders_import_each_other(house):
    assert house.mutual == []


def test_imports(house):
    assert house.edges_a_file <= 4.55
    assert house.edges <= 1_015
    assert house.import_share <= 0.128


def test_lines(house):
    assert house.lines <= 29_900
