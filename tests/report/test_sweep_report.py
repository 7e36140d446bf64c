"""`scripts/report --sweep`: what a real sweep stored."""

import json

import pytest

from pipeline.report import __main__ as report
from support.reports import texts
from support.stored import command
from support.sweeping import TINY, sweep_here


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sweep over two markets of generated hours."""
    place = tmp_path_factory.mktemp("sweep")
    finished = sweep_here(place, "markets=btc_binance_1h,eth_binance_1h", *TINY)
    assert finished.status == 0, finished.err
    return place


def test_a_sweep_is_written_under_its_id(folder):
    finished = command(report, folder, "--sweep", "latest")
    (page,) = folder.glob("sweep_*.html")
    assert finished.out.strip() == page.name
    text = page.read_text("utf-8")
    assert "<h1>2 markets · liquidity_sweep" in text
    assert '<th scope="row">binance:BTC/USDT:1h</th>' in text
    assert '<th scope="row">binance:ETH/USDT:1h</th>' in text
    (drawn,) = texts(text, "script", id="figures")
    assert sorted(json.loads(drawn)["figures"]) == ["discoveries", "sharpe"]


def test_an_unknown_sweep_is_named(folder):
    finished = command(report, folder, "--sweep", "nope")
    assert finished.status == 2
    assert "No sweep has the id nope. The newest is" in finished.err
