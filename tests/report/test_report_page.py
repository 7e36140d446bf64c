"""The page says what is stored, and nothing that is stored can speak for the page."""

import base64
import json
import re
import shutil
from dataclasses import replace

import pytest

from pipeline.market_data.timeframe import utc
from pipeline.report.headline import sentence
from pipeline.report.page import head, page, payload, sections
from pipeline.report.shell import embedded, plotly_js
from pipeline.results.records import ConfigurationEvent
from pipeline.validation.wording import SYNTHETIC, percent
from support.reports import loaded, texts

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def text(report):
    """The page without plotly, which is of others."""
    return page(report).replace(plotly_js(), "")


def test_embedded_json_cannot_end_its_script():
    said = embedded({"x": HOSTILE})
    assert "<" not in said
    assert json.loads(said) == {"x": HOSTILE}


def test_verdict_gates_and_caveats_are_all_there(report, text):
    explanation = report.explanation
    assert texts(text, "p", **{"class": "verdict"}) == [sentence(explanation)]
    assert texts(text, "p", **{"class": "step drop"}) == [f"Next: {explanation.next_step.sentence}"]
    items = texts(text, "li")
    for gate, item in zip(explanation.gates, items, strict=False):
        missing = gate.outcome == "failed" and gate.value is None
        words = {"failed": "not tested" if missing else "failed", "skipped": "not asked"}
        assert item.startswith(words.get(gate.outcome, "passed") + gate.sentence.rsplit(": ", 1)[0])
    told = [*explanation.moves, *explanation.facts, *explanation.caveats]
    assert items[len(explanation.gates) :] == told
    assert f"{explanation.badge}, size 0" in texts(text, "span", **{"class": "badge"})


def test_no_line_ends_between_a_number_and_its_percent_sign(report):
    written = str(head(report))
    assert written.count("\u00a0%") >= 4
    assert re.search(r"\d %", written) is None


@pytest.mark.parametrize(("count", "folded"), [(12, False), (13, True)])
def test_a_long_table_of_windows_is_folded(report, count, folded):
    windows = [report.artifacts.windows[0]] * count
    long = replace(report, artifacts=replace(report.artifacts, windows=windows))
    (written,) = (one.inner for one in sections(long) if one.name == "windows")
    assert texts(written, "summary") == (["Every window's winner: 13 rows"] if folded else [])
    assert texts(written, "caption") == ([] if folded else ["Every window's winner"])
    assert len(texts(written, "th", scope="row")) == count


def test_synthetic_candles_are_marked(text):
    assert texts(text, "p", role="note") == [SYNTHETIC]
    assert texts(text, "title")[0].startswith("SYNTHETIC ")
    assert 'class="gates invented"' in text  # a gate that it passed is not green


def test_the_numbers_are_the_stored_ones(report, text):
    row = report.configuration
    known = row.statistics
    every = (row.out_of_sample, known["closed"], known["hold"], row.in_sample)
    assert texts(text, "td")[:4] == [percent(part["net_profit"]) for part in every]
    for year in known["years"]:
        assert percent(year["hold_net_profit"]) in texts(text, "td")
    returns = [percent(float(trade["ret"])) for trade in report.artifacts.trades]
    cells = [cell for cell in texts(text, "td") if cell in returns]
    assert cells[-len(returns) :] == returns[::-1]  # the newest first; months come before


def test_trade_times_agree_with_the_candles(report, text):
    cells = texts(text, "td")
    for trade in report.artifacts.trades:
        moment = report.candles.timestamp[trade["entry_bar"]].astype("datetime64[ms]")
        assert str(moment.astype("datetime64[m]")).replace("T", " ") in cells


def test_the_quality_of_the_candles_has_dates(report, text):
    quality = report.configuration.provenance["quality"]
    assert {utc(quality[name]) for name in ("first_bar", "last_bar")} < set(texts(text, "td"))
    assert str(quality["first_bar"]) not in texts(text, "td")


def test_the_document_is_saved_as_it_is_stored(report, text):
    (encoded,) = re.findall(r'href="data:application/json;base64,([^"]+)"', text)
    assert json.loads(base64.b64decode(encoded)) == report.configuration.document


def test_nothing_is_loaded_from_anywhere(text):
    assert not re.findall(r"(?:https?:)?//[a-z0-9]", text.replace("// ", ""))
    assert not re.findall(r"<(?:script|img|iframe)[^>]* src=|@import|url\(", text)
    assert 'content="default-src &#39;none&#39;' in text


def test_what_is_stored_is_escaped(report):
    event = ConfigurationEvent(report.configuration.id, HOSTILE, "PAPER", "PAPER", HOSTILE, {})
    row = report.configuration
    hostile = replace(
        row,
        strategy=HOSTILE,
        provenance=row.provenance | {"data_source": HOSTILE},
        document=row.document | {"pattern": HOSTILE},
    )
    made = page(replace(report, configuration=hostile, events=[event]))
    assert "<img" not in made.replace(plotly_js(), "")
    assert made.count("&lt;/script&gt;&lt;img") == 5  # title line, kind, reason, source, document
    assert texts(made, "td", **{"data-label": "reason"}) == [HOSTILE]


def test_every_figure_has_its_place(report, text):
    drawn = payload(report)
    for name in [*drawn["figures"], "heatmap", "trades"]:
        assert re.search(rf'<div id="{name}" class="figure', text)


def test_without_artifacts_the_page_says_so(trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained.folder, folder)
    shutil.rmtree(folder / "var/artifacts")
    report = loaded(folder)
    made = page(report)
    assert report.artifacts is None
    assert made.count(f"The artifacts of {report.configuration.id} are not in") == 5
    assert payload(report)["figures"] == {}


def test_without_candles_the_trades_are_a_table(trained):
    report = replace(loaded(trained.folder, whole=False), missing={"candles": "The file is gone."})
    made = page(report)
    assert "The file is gone." in made
    assert "All trades" in made
    assert "trades" not in payload(report)
