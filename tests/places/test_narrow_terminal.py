"""Terminals of 40 columns: no figure and no id is broken over two lines."""

import io

import pytest
from rich.console import Console as Terminal

from pipeline.cli.console import Console

ID = "LIQUIDITY_SWEEP_V3_20261129_020646_90cf92"
COLUMNS = ("statistic", "value", "meaning")
ROWS = [
    ("reality_check_p", "0.000999", "of the best of all combinations against the best of luck"),
    (ID, "201,600", ""),
    ("net profit", "+1,635.36%", "2.42 to 6.35"),
]


def written(width, write):
    terminal = Terminal(file=io.StringIO(), width=width, highlight=False)
    write(Console(terminal, terminal))
    return terminal.file.getvalue()


def whole(text, rows=ROWS):
    """Whether every word of every cell stands on one line."""
    lines = [line.replace("│", " ").split() for line in text.splitlines()]
    words = [word for row in rows for cell in row for word in cell.split()]
    return [word for word in words if not any(word in line for line in lines)] == []


@pytest.mark.parametrize("width", [20, 40, 60, 70, 80, 110])
def test_a_table_keeps_words_whole_at_any_width(width):
    text = written(width, lambda console: console.table("Statistics", COLUMNS, ROWS))
    assert whole(text)
    assert ("┏" in text) == (width > 70)
    if width >= len(ID) + 2:
        assert max(map(len, text.splitlines())) <= width


def test_a_block_names_every_column_but_the_first():
    text = written(40, lambda console: console.table("Statistics", COLUMNS, ROWS))
    assert text.splitlines() == [
        "Statistics",
        "- reality_check_p",
        "  value: 0.000999",
        "  meaning: of the best of all",
        "combinations against the best of luck",
        f"- {ID}"[:2].rstrip(),
        ID,
        "  value: 201,600",
        "- net profit",
        "  value: +1,635.36%",
        "  meaning: 2.42 to 6.35",
    ]


def test_a_line_with_an_id_is_wrapped_around_it():
    sentence = f"Stored as {ID} in sqlite:///var/trainings.db, of 201,600 combinations"
    text = written(40, lambda console: console.print(sentence))
    assert whole(text, [[sentence]])
