"""`scripts/report`."""

import shutil

import pytest

from pipeline.report import __main__ as report
from support.stored import command


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of a training to work in."""
    shutil.copytree(trained.folder, tmp_path / "work")
    return tmp_path / "work"


def test_a_page_is_written_under_the_configurations_id(folder, trained):
    identity = trained.configurations[0].id
    finished = command(report, folder, identity)
    assert (finished.status, finished.out.strip()) == (0, f"{identity}.html")
    assert (folder / f"{identity}.html").read_text("utf-8").startswith("<!doctype html>")


def test_the_place_can_be_chosen(folder):
    assert command(report, folder, "latest", "-o", "page.html").status == 0
    assert [path.name for path in folder.glob("*.html")] == ["page.html"]


def test_the_same_configuration_gives_the_same_page(folder):
    for name in ("a.html", "b.html"):
        command(report, folder, "latest", "-o", name)
    assert (folder / "a.html").read_bytes() == (folder / "b.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "takes the id of one configuration"),
        (("../../etc/passwd",), "No configuration has the id ../../etc/passwd. The newest is"),
        (("latest", "-o", "nowhere/page.html"), "-o nowhere/page.html cannot be written"),
        (("latest", "-o", "var"), "-o var cannot be written"),
        (("latest", "storage.url=sqlite:///none.db"), "There is no database"),
    ],
)
def test_mistakes_are_named(folder, arguments, said):
    before = sorted(folder.iterdir())
    finished = command(report, folder, *arguments)
    assert finished.status == 2
    assert said in finished.err
    assert sorted(folder.iterdir()) == before


def test_candles_that_changed_are_not_drawn(folder):
    finished = command(report, folder, "latest", "data=synthetic", "data.seed=99", "-o", "p.html")
    assert finished.status == 0, finished.err
    assert "their hash differs" in finished.err
    assert "their hash differs" in (folder / "p.html").read_text("utf-8")
