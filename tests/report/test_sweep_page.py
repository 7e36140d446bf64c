"""The page of a sweep, from markets made by hand."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import plotly.graph_objects as go
import pytest

from pipeline.report.echart import option
from pipeline.report.figures import discoveries, sharpe_ratios
from pipeline.report.loading import SweptMarket
from pipeline.report.page import sweep_page
from pipeline.report.shell import macro
from pipeline.report.sweep import in_figures, luck, matrix
from pipeline.results.records import Sweep
from pipeline.validation.pooling import MarketSeries, pooled_sentences, pooled_verdict
from support.reports import texts

DAY = datetime(2024, 1, 2, tzinfo=UTC)
#: Of a sweep's record, what no page shows.
OF_ITS_PROCESS = (
    "key",
    "config",
    "engine_version",
    "owner",
    "started_at",
    "finished_at",
)


@pytest.fixture
def markets(report):
    """Two real markets, a synthetic one, one that stored nothing and one that failed."""
    stored = replace(report.configuration, synthetic=False, lifecycle_stage="DISCOVERY")

    def market(name, sharpe, p, q, **fields):
        metrics = stored.out_of_sample | {"sharpe_ratio": sharpe}
        figures = stored.statistics | {"p_value": p, "surrogate_p": p, "beta": 0.1}
        row = replace(stored, out_of_sample=metrics, statistics=figures, **fields)
        return SweptMarket(name, "done", row, p, p, q, 1.5, None, row.synthetic)

    return [
        market("first", 0.7, 0.04, 0.08),
        market("second", 1.9, 0.2, 0.2, lifecycle_stage="PAPER"),
        market("planted", 6.0, 0.001, 0.001, synthetic=True),
        SweptMarket("barren", "done", None, None, None, None, 0.5, None),
        SweptMarket("broken", "failed", None, None, None, None, None, "no <candles>"),
    ]


def test_markets_are_ordered_by_their_sharpe_ratio(markets):
    figure = sharpe_ratios(markets)
    assert figure["layout"]["yaxis"]["categoryarray"] == ["first", "second", "planted"]
    assert [(t["name"], t["x"]) for t in figure["data"]] == [
        ("market", [0.7, 1.9]),
        ("SYNTHETIC", [6.0]),
    ]
    go.Figure(figure)


def test_a_market_says_whether_it_beats_luck(markets):
    lost = markets[0].configuration.luck
    assert (lost.answer, lost.reason) == ("no", "it lost")
    assert "beats luck no" in in_figures(markets[0])


def test_the_line_of_benjamini_and_hochberg_is_of_each_family(markets):
    real, limit, planted, limit_planted = discoveries(markets)["data"]
    assert real["y"] == [0.04, 0.2, 1.0]
    assert real["text"] == ["first: p = 0.04", "second: p = 0.2", "barren: p = 1"]
    assert limit["y"] == pytest.approx([0.1 / 3, 0.2 / 3, 0.1])
    assert planted["y"] == [0.001]
    assert limit_planted["y"] == pytest.approx([0.1])
    go.Figure(discoveries(markets))


def test_axes_have_titles_and_a_single_bar_no_scale_of_its_own(markets):
    for drawn in (sharpe_ratios(markets), discoveries(markets)):
        assert all(drawn["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis"))
        made = option(drawn)
        series_of = made.get("baseOption", made)["series"]
        for trace, series in zip(drawn["data"], series_of, strict=True):
            pairs = [list(pair) for pair in zip(trace["x"], trace["y"], strict=True)]
            assert [list(row[:2]) for row in series["data"]] == pairs
    (only,) = [market for market in markets if market.market == "second"]
    low, high = sharpe_ratios([only])["layout"]["xaxis"]["range"]
    assert low == 0.0
    assert 1.9 < high < 2.1
    assert discoveries([only])["layout"]["xaxis"]["range"] == [0.5, 1.5]


def test_long_names_leave_a_phone_room_for_the_bars(markets):
    named = [
        replace(
            one, exchange="binanceusdm", pair="BTC/USDT:USDT", timeframe="15m", market=f"x {own}"
        )
        for one, own in zip(markets[:2], ("liquidity_sweep", "donchian_breakout"), strict=True)
    ]
    media = option(sharpe_ratios(named))["media"]
    axes = {m.get("query", {}).get("maxWidth"): m["option"]["yAxis"][0] for m in media}
    labels = {width: axis["axisLabel"] for width, axis in axes.items()}
    assert (labels[550]["width"], labels[550]["overflow"]) == (145, "break")
    assert {labels[width]["overflow"] for width in (700, 1100, None)} == {"none"}
    assert [axes[width]["name"] for width in (550, 700, 1100, None)] == ["", *["market"] * 3]
    assert "media" not in option(sharpe_ratios(markets)), "short names stand in one line"


def test_a_sweep_of_many_markets_is_taller_on_a_phone(markets):
    assert 'id="sharpe" class="figure tall" style="--rows: 24"' in macro(
        "swept.jinja", "figures", 0.1, 24
    )


def test_a_cell_of_invented_candles_has_no_ground_of_its_stage(markets):
    top = [
        replace(m, configuration=replace(m.configuration, lifecycle_stage="MATURE"))
        for m in markets[:3]
    ]
    made = [
        replace(market, exchange="x", pair=f"{market.market}/USDT", timeframe="1h")
        for market in (*top, markets[4])
    ]
    written = str(macro("matrix.jinja", "matrix", matrix(made), in_figures))
    grounds = re.findall(r'class="(ground-\w+)"', written)
    assert grounds == ["ground-mature", "ground-mature", "ground-done", "ground-failed"]
    assert f'href="/configurations/{made[0].configuration.id}"' in written
    assert "no &lt;candles&gt;" in written


def test_the_matrix_has_a_cell_for_each_market(markets):
    first, second = markets[:2]
    asked = [
        replace(first, exchange="binance", pair="BTC/USDT", timeframe="4h", strategy="S"),
        replace(second, exchange="binance", pair="BTC/USDT", timeframe="15m", strategy="S"),
        replace(markets[3], exchange="binance", pair="ETH/USDT", timeframe="4h", strategy="S"),
    ]
    laid_out = matrix(asked)
    assert laid_out.timeframes == ["15m", "4h"]
    assert laid_out.rows == [
        ("binance:BTC/USDT", [asked[1], asked[0]]),
        ("binance:ETH/USDT", [None, asked[2]]),
    ]
    edited = matrix([replace(asked[0], timeframe="banana"), *asked[1:]])
    assert edited.timeframes[-1] == "banana"
    several = matrix([*asked, replace(asked[0], strategy="T")])
    assert [name for name, _ in several.rows] == [
        "binance:BTC/USDT · S",
        "binance:ETH/USDT · S",
        "binance:BTC/USDT · T",
    ]
    said = in_figures(asked[0])
    assert said.startswith("binance:BTC/USDT:4h: DISCOVERY, net ")
    assert "Sharpe 0.70" in said
    assert said.endswith("p 0.04, q 0.08")
    assert in_figures(asked[2]) == "binance:ETH/USDT:4h: nothing stored"


@pytest.fixture
def pool(markets):
    """The two real markets, with days of their own."""
    day = np.arange(40, dtype=np.int32)
    series = [MarketSeries(coin, day, np.sin(day + i)) for i, coin in enumerate(("BTC", "ETH"))]
    return pooled_verdict(series, strategy="S", synthetic=False, left_out=1)


def test_the_page_says_how_every_market_ended(markets, pool):
    sweep = Sweep(
        id="5" * 32,
        strategy="LIQUIDITY_SWEEP_V3",
        optimizer="grid",
        status="completed",
        since=DAY,
        until=datetime(2024, 7, 1, tzinfo=UTC),
        created_at=DAY,
        pooled=[pool],
        **dict.fromkeys(OF_ITS_PROCESS),
    )
    text = sweep_page(sweep, markets)
    assert luck(replace(sweep, pooled=None), markets) == [], "not judged yet"
    one, invented = luck(sweep, markets)
    assert one.startswith("Of 3 markets that were tried, 1 stands out")
    assert invented.startswith("Of 1 SYNTHETIC market that was tried, 1 stands out")
    assert one in texts(text, "p")
    link = texts(text, "a", href=f"{markets[0].configuration.id}.html")
    assert link[:1] == [markets[0].configuration.id]
    assert texts(text, "li") == [
        f"1 DISCOVERY: {markets[0].verdict}",
        f"1 SYNTHETIC DISCOVERY: {markets[2].verdict}",
        f"1 PAPER: {markets[1].verdict}",
        "1 failed, 1 nothing stored",
        *pooled_sentences(pool),
        "broken: no <candles>",
    ]
    assert "SYNTHETIC candles: those figures" in text
    assert "candles from 2024-01-02 to 2024-06-30<" in text, "the last day included"


def test_two_markets_with_two_strategies_are_four_trainings(markets):
    labels = ("first LIQUIDITY", "first DONCHIAN", "second LIQUIDITY", "second DONCHIAN")
    made = [replace(markets[0], market=label) for label in labels]
    sweep = Sweep(
        id="5" * 32,
        strategy="LIQUIDITY, DONCHIAN",
        optimizer="grid",
        status="completed",
        since=DAY,
        until=DAY,
        created_at=DAY,
        pooled=[],
        **dict.fromkeys(OF_ITS_PROCESS),
    )
    (said,) = luck(sweep, made)
    assert said.startswith("Of 4 trainings of 2 markets that were tried, 4 stand out")
    assert "Of trainings that stand out so, at most 10 %" in said
    (invented,) = luck(sweep, [replace(one, synthetic=True) for one in made])
    assert invented.startswith("Of 4 trainings of 2 SYNTHETIC markets that were tried, 4")
    assert texts(sweep_page(sweep, made), "h1")[0].startswith("4 trainings of 2 markets")


def test_a_market_has_one_name_everywhere_and_twins_their_keys_too():
    of = dict.fromkeys(("p_value", "surrogate_p", "fdr_q_value", "seconds", "error"))
    of |= {"configuration": None, "exchange": "binance", "pair": "BTC/USDT", "timeframe": "1h"}
    one = SweptMarket("btc_cheap DONCHIAN", "failed", **of)
    assert one.name == "binance:BTC/USDT:1h DONCHIAN"
    assert replace(one, twin=True).name == "binance:BTC/USDT:1h DONCHIAN (btc_cheap)"
    cheap, dear = replace(one, twin=True), replace(one, market="btc_dear DONCHIAN", twin=True)
    assert [name for name, _ in matrix([cheap, dear]).rows] == [
        "binance:BTC/USDT (btc_cheap)",
        "binance:BTC/USDT (btc_dear)",
    ]
