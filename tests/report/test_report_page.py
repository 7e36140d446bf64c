"""The page says what is stored, and nothing that is stored can speak for the page."""

import base64
import json
import re
import shutil
from dataclasses import replace

import pytest

from pipeline.report.html import Markup, element, table
from pipeline.report.page import page
from pipeline.report.payload import payload
from pipeline.report.shell import embedded, plotly_js
from pipeline.results.records import ConfigurationEvent, utc_now
from pipeline.validation.wording import SYNTHETIC, percent
from support.reports import loaded

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def text(report):
    """The page without plotly, which is of others."""
    return page(report).replace(plotly_js(), "")


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "<b>", Markup("<b></b>")) == "<p>&lt;b&gt;<b></b></p>"
    assert (
        element("a", class_='"x"', aria_label="&")
        == '<a class="&quot;x&quot;" aria-label="&amp;"></a>'
    )
    assert element("option", selected=True, disabled=False) == "<option selected></option>"


def test_table_cells_are_escaped():
    assert "<td>&lt;1&gt;</td>" in table("t", ("a", "b"), [("x", "<1>")])


def test_embedded_json_cannot_end_its_script():
    said = embedded({"x": HOSTILE})
    assert "<" not in said
    assert json.loads(said) == {"x": HOSTILE}


def test_verdict_gates_and_caveats_are_all_there(report, text):
    explanation = report.explanation
    assert element("p", explanation.verdict, class_="verdict") in text
    for gate in explanation.gates:
        assert element("b", gate.outcome, class_=gate.outcome) in text
        assert element("i", gate.sentence.rsplit(": ", 1)[0])[3:-4] in text
    for sentence in (*explanation.moves, *explanation.caveats):
        assert element("li", sentence) in text


def test_synthetic_candles_are_marked(text):
    assert SYNTHETIC in text
    assert "<title>SYNTHETIC " in text


def test_the_numbers_are_the_stored_ones(report, text):
    row = report.configuration
    profits = [f"{part['net_profit']:+.2%}" for part in (row.out_of_sample, row.in_sample)]
    assert (
        element("th", "net profit", scope="row")
        + "".join(element("td", profit) for profit in profits)
        in text
    )
    for trade in report.artifacts.trades:
        assert element("td", percent(float(trade["ret"]))) in text


def test_trade_times_agree_with_the_candles(report, text):
    for trade in report.artifacts.trades:
        moment = report.candles.timestamp[trade["entry_bar"]].astype("datetime64[ms]")
        assert element("td", str(moment.astype("datetime64[m]")).replace("T", " ")) in text


def test_the_document_is_saved_as_it_is_stored(report, text):
    (encoded,) = re.findall(r'href="data:application/json;base64,([^"]+)"', text)
    assert json.loads(base64.b64decode(encoded)) == report.configuration.document


def test_nothing_is_loaded_from_anywhere(text):
    assert not re.findall(r"(?:https?:)?//[a-z0-9]", text.replace("// ", ""))
    assert not re.findall(r"<(?:script|img|iframe)[^>]* src=|@import|url\(", text)
    assert "default-src &#x27;none&#x27;" in text


def test_what_is_stored_is_escaped(report):
    event = ConfigurationEvent(
        "e", report.configuration.id, utc_now(), HOSTILE, "PAPER", "PAPER", HOSTILE, {}
    )
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
    report = loaded(trained.folder, with_candles=False)
    made = page(report)
    assert "The candles were not asked for." in made
    assert "All trades" in made
    assert "trades" not in payload(report)
