"""Every citation of a rule, in code, configuration, tests and docs, leads to a rule of docs/rules.

A citation is ``PAGE rules §NUMBER``, PAGE being a file of docs/rules; more numbers may follow on
the line. A bare number means the page that the file names first, and on a page of the rules that
page.
"""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from support.documents import ROOT

RULES = ROOT / "docs" / "rules"
CITING = ("gpu_engine", "pipeline", "conf", "sql", "scripts", "tests", "docs", "README.md")

_RULE = re.compile(r"^(?:#+ (\d+)\. |- \*\*(\d+(?:\.\d+)+) )", re.MULTILINE)
_CITATION = re.compile(r"(?:\b(?P<page>\w+) rules )?§(?P<number>\d+(?:\.\d+)*)")
#: A § or a rule in any other form: another word for the page, a range without its second sign.
_OTHER_FORM = re.compile(
    r"\b(?:specs?|specifications?|guide|design|strategy|validation|RFC \d+) ?§"
    r"|^\W*rules §|§[\d.]+\s*[-–]\s*\d|§[A-Za-z]"
)


class Citation(NamedTuple):
    """A rule that a line cites; ``page`` None where neither line nor file names one."""

    page: str | None
    number: str


def rules(page):
    """Numbers of the rules that stand on a page, in their order."""
    return [heading or item for heading, item in _RULE.findall(page.read_text("utf-8"))]


PAGES = {page.stem: rules(page) for page in sorted(RULES.glob("*.md")) if page.stem != "README"}


def citations(text, home=None):
    """All citations of a text; ``home`` is the page of bare numbers, else the first one named."""
    found = []
    for line in text.splitlines():
        page = None
        for match in _CITATION.finditer(line):
            page = match["page"].lower() if match["page"] else page
            home = home or page
            found.append(Citation(page or home, match["number"]))
    return found


def tracked():
    """Text files that may cite rules."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *CITING],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout")
    for name in listing.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path != Path(__file__) and b"\0" not in path.read_bytes()[:1024]:
            yield path, path.read_text("utf-8", errors="replace")


def page_of(path):
    """The page of the rules that a file is, or None."""
    return path.stem if path.parent == RULES and path.stem in PAGES else None


def test_pages_number_their_rules_once_and_in_order():
    assert {"candles", "liquidity_sweep", "fills", "exits", "validation"} <= set(PAGES)
    for name, numbers in PAGES.items():
        order = [tuple(int(part) for part in number.split(".")) for number in numbers]
        assert order, name
        assert order == sorted(set(order)), name


def test_every_citation_finds_its_rule():
    lost, total = [], 0
    for path, text in tracked():
        for citation in citations(text, page_of(path)):
            total += 1
            if citation.number not in PAGES.get(citation.page, ()):
                lost.append(f"{path.relative_to(ROOT)}: {citation.page} rules §{citation.number}")
    assert lost == []
    assert total > 200


def test_rules_are_cited_in_no_other_form():
    other = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in tracked()
        for number, line in enumerate(text.splitlines(), 1)
        if _OTHER_FORM.search(line)
    ]
    assert other == []


def test_the_engine_cites_no_strategy():
    pages = {
        citation.page
        for path, text in tracked()
        if path.is_relative_to(ROOT / "gpu_engine")
        for citation in citations(text)
    }
    assert pages == {"candles", "fills", "exits", "validation"}


def test_the_index_lists_every_page():
    index = (RULES / "README.md").read_text("utf-8")
    assert [name for name in PAGES if f"({name}.md)" not in index] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fills rules §7.3", [("fills", "7.3")]),
        ("Validation rules §3 to §5", [("validation", "3"), ("validation", "5")]),
        ("candles rules §2, fills rules §6", [("candles", "2"), ("fills", "6")]),
        ("fills rules §6\n\n§7", [("fills", "6"), ("fills", "7")]),
        ("fills rules §6\ncandles rules §2", [("fills", "6"), ("candles", "2")]),
        ("§7, and fills rules §6", [(None, "7"), ("fills", "6")]),
    ],
)
def test_a_bare_number_means_the_page_of_its_line_then_of_its_file(text, expected):
    assert citations(text) == expected


@pytest.mark.parametrize("text", ["spec §7", "validation §2", "fills rules §6-7", "rules §7"])
def test_another_form_is_seen(text):
    assert _OTHER_FORM.search(text)
