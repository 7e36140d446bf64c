"""The parts of a configuration's page in the order in which they are read."""

from __future__ import annotations

import base64
import json
from typing import Any

from gpu_engine.records import REASONS
from pipeline.report.figures import setting
from pipeline.report.html import Markup, element, joined, listed, scrolling, table
from pipeline.report.loading import ReportData, trade_time
from pipeline.report.payload import DETAILED, choices, scores_of
from pipeline.report.trades import side
from pipeline.results.artifacts import ScoreSurface
from pipeline.validation.wording import (
    MEANINGS,
    METRIC_ROWS,
    SYNTHETIC,
    defined,
    percent,
    plain,
    plural,
)

#: A part: its id, its title, and what is in it.
Section = tuple[str, str, Markup]

_TALL = "figure tall"
_STORED = "others at the stored values"
_BEST_ONLY = (
    " It is the best over all other parameters: of a grid this large nothing else is kept, so no"
    " other can be held at a value."
)


def head(report: ReportData) -> Markup:
    """Return what says which configuration this is, and whether its market is of this world."""
    configuration, explanation = report.configuration, report.explanation
    stage = f"{explanation.stage}, size {explanation.size:g}"
    return joined(
        [
            element("h1", f"{explanation.market} · {configuration.strategy}"),
            element(
                "p",
                element("span", stage, class_="badge"),
                f" {configuration.id}, discovered {configuration.created_at:%Y-%m-%d %H:%M} UTC",
                class_="soft",
            ),
            banner() if explanation.synthetic else Markup(),
        ]
    )


def banner(said: str = SYNTHETIC) -> Markup:
    """Return the mark of candles that were invented."""
    return element("p", said, class_="synthetic", role="note")


def verdict(report: ReportData) -> Section:
    """Return the stage in plain words, every gate, what would move it, what it does not prove."""
    explanation = report.explanation
    gates = [
        element(
            "li",
            element("b", gate.outcome, class_=gate.outcome),
            f"{gate.sentence.rsplit(': ', 1)[0]} ({_purpose(gate.stage)})",
        )
        for gate in explanation.gates
    ]
    parts = [
        element("p", explanation.verdict, class_="verdict"),
        element("h3", "Gates"),
        element("ul", *gates, class_="gates"),
        element("h3", "What would move it"),
        listed(explanation.moves),
        element("h3", "What the numbers do not prove"),
        listed(explanation.caveats),
    ]
    return "verdict", "Verdict", joined(parts)


def _purpose(stage: str) -> str:
    return f"to leave {stage}" if stage != "MATURE" else "for MATURE"


def performance(report: ReportData) -> Section:
    """Return metrics of both series, equity and drawdown."""
    configuration = report.configuration
    own, oos = configuration.in_sample, configuration.out_of_sample
    rows = [
        (label, defined(oos[name], form), defined(own[name], form))
        for label, name, form in METRIC_ROWS
    ]
    explained = (
        "Out of sample: the procedure on days that its searches had not seen, window after window."
        " In sample: the stored configuration on the days on which it was found, which is promise"
        " and no evidence. Two series, each from zero; ratios are annualised with 365 days."
    )
    numbers = table("Net of fees and slippage", ("metric", "out of sample", "in sample"), rows)
    drawings = (
        [
            drawing("equity", "Equity: net profit since the start of each series, by day."),
            drawing("drawdown", "Drawdown: loss since the highest equity so far."),
        ]
        if report.artifacts is not None
        else [_missing(report, "artifacts")]
    )
    return "performance", "Performance", joined([element("p", explained), numbers, *drawings])


def windows(report: ReportData) -> Section:
    """Return what every walk-forward window was promised, and what came."""
    title = "Walk-forward windows"
    if report.artifacts is None:
        return "windows", title, _missing(report, "artifacts")
    rows = [
        (
            str(number),
            f"{w['train'][0]} to {w['train'][1]}",
            f"{w['test'][0]} to {w['test'][1]}",
            *(
                "-" if w[part] is None else defined(w[part][name], form)
                for part in ("in_sample", "out_of_sample")
                for name, form in (
                    ("net_profit", "+.2%"),
                    ("sharpe_ratio", ".2f"),
                    ("sample_size", "d"),
                )
            ),
        )
        for number, w in enumerate(report.artifacts.windows, 1)
    ]
    columns = (
        *("window", "trained on", "tested on"),
        *("promised net", "promised Sharpe", "trades"),
        *("net out of sample", "Sharpe out of sample", "trades out of sample"),
    )
    parts = [
        drawing("windows", "Days that each window searched (train) and was judged on (test)."),
        drawing("promises", "Sharpe ratio of every window's winner, annualised."),
        table("Every window's winner", columns, rows),
    ]
    return "windows", title, joined(parts)


def parameters(report: ReportData) -> Section:
    """Return the stored parameters and how they moved from window to window."""
    stored = report.configuration.parameters
    spread = report.configuration.statistics.get("parameter_spread") or {}
    rows = [
        (name, setting(value), *(_extreme(spread, name, end) for end in ("min", "median", "max")))
        for name, value in stored.items()
    ]
    columns = ("parameter", "stored", "least", "median", "largest")
    parts = [table("Stored, and over the windows", columns, rows)]
    if report.artifacts is not None:
        caption = "Value in every window; the colour is its place in what was searched."
        parts.append(scrolling(drawing("spread", caption, style="figure tall wide"), "Parameters"))
    return "parameters", "Parameters", joined(parts)


def _extreme(spread: dict[str, Any], name: str, end: str) -> str:
    return setting(spread[name][end]) if name in spread else "-"


def surface(report: ReportData) -> Section:
    """Return the heatmap of any two parameters."""
    title = "Score surface"
    scores = None if report.artifacts is None else scores_of(report.artifacts)
    if report.artifacts is None:
        return "surface", title, _missing(report, "artifacts")
    if scores is None:
        said = "This search was of no grid: it keeps no score of every combination."
        return "surface", title, element("p", said)
    names = choices(scores)
    if len(names) < 2:
        said = "Fewer than two parameters had more than one value: there is nothing to draw."
        return "surface", title, element("p", said)
    selects = [
        _select("heatmap-x", "across", [(n, n) for n in names], names[0]),
        _select("heatmap-y", "up", [(n, n) for n in names], names[1]),
    ]
    caption = (
        "In-sample score of the combinations of the search that found the stored configuration"
        " (marked). Empty: no admissible combination."
    )
    if isinstance(scores, ScoreSurface):
        modes = [("best", "best over all other parameters"), ("slice", _STORED)]
        selects.append(_select("heatmap-mode", "score", modes, "best"))
    else:
        caption += _BEST_ONLY
    controls = element("div", *selects, class_="controls")
    return "surface", title, joined([controls, drawing("heatmap", caption, style=_TALL)])


def luck(report: ReportData) -> Section:
    """Return the statistics, and the best Sharpe ratio among those of luck."""
    statistics = report.configuration.statistics
    rows = [
        (name, plain(name, statistics[name]), text)
        for name, text in MEANINGS.items()
        if name in statistics
    ]
    numbers = table("Statistics", ("statistic", "value", "meaning"), rows, words=True)
    if report.artifacts is None:
        return "luck", "Luck or edge", joined([numbers, _missing(report, "artifacts")])
    null = report.artifacts.null
    if null is None:
        said = "Nothing was tested against luck (validation.evidence), so there is no distribution."
        return "luck", "Luck or edge", joined([numbers, element("p", said)])
    barren = [
        f"In {plural(int((best == -float('inf')).sum()), 'surrogate')} of {len(best):,} {kind}"
        " nothing was admissible."
        for kind, best in null.surrogates.items()
        if (best == -float("inf")).any()
    ]
    caption = (
        "Best Sharpe ratio of the whole search where there is no edge, and the one that was found."
    )
    parts = [numbers, drawing("null", " ".join([caption, *barren]))]
    return "luck", "Luck or edge", joined(parts)


def trades(report: ReportData) -> Section:
    """Return the trades on their candles, and all of them as a table."""
    title = "Trades out of sample"
    if report.artifacts is None:
        return "trade-list", title, _missing(report, "artifacts")
    done = report.artifacts.trades
    if len(done) == 0:
        return "trade-list", title, element("p", "There was no trade out of sample.")
    parts = []
    if report.candles is None:
        parts.append(_missing(report, "candles"))
    else:
        first = max(len(done) - DETAILED, 0)
        each = [
            (str(place), f"{_trade_name(report, trade, number)}")
            for place, (number, trade) in enumerate(
                zip(range(first + 1, len(done) + 1), done[first:], strict=True), 1
            )
        ]
        everything = [("0", f"all {plural(len(done), 'trade')}"), *each]
        newest = f" One by one the newest {DETAILED}." if first else ""
        caption = (
            "Candles (several joined into one where there are many), each trade from entry to"
            f" exit, prices after slippage.{newest}"
        )
        choice = _select("trades-choice", "trades", everything, "0")
        parts += [
            element("div", choice, class_="controls"),
            drawing("trades", caption, style=_TALL),
        ]
    parts.append(element("details", element("summary", "All trades"), _trade_table(report, done)))
    return "trade-list", title, joined(parts)


def _trade_name(report: ReportData, trade: Any, number: int) -> str:
    entered = trade_time(report.configuration, int(trade["entry_bar"]))
    return f"{number}: {entered}, {side(trade)}, {percent(float(trade['ret']))}"


def _trade_table(report: ReportData, done: Any) -> Markup:
    rows = [
        (
            str(number),
            side(trade),
            trade_time(report.configuration, int(trade["entry_bar"])),
            f"{trade['entry']:.7g}",
            trade_time(report.configuration, int(trade["exit_bar"])),
            f"{trade['exit']:.7g}",
            REASONS[trade["reason"]].replace("_", " "),
            percent(float(trade["ret"])),
        )
        for number, trade in enumerate(done, 1)
    ]
    columns = (
        "trade",
        "side",
        "entry bar (UTC)",
        "entry",
        "exit bar (UTC)",
        "exit",
        "by",
        "return",
    )
    return table("Returns are net, on notional", columns, rows)


def circuit_breakers(report: ReportData) -> Section:
    """Return the limits under which it may be traded."""
    rows = [
        (name, "off" if value is None else f"{value:g}")
        for name, value in report.configuration.circuit_breakers.items()
    ]
    said = (
        "Limits of the document. A backtest on candles honours the daily loss and the losses in a"
        " row; the others need live orders."
    )
    limits = table("Circuit breakers", ("limit", "value"), rows)
    return "breakers", "Circuit breakers", joined([element("p", said), limits])


def history(report: ReportData) -> Section:
    """Return what happened to the configuration since it was stored."""
    if not report.events:
        said = "Nothing happened to this configuration since it was stored."
        return "history", "Audit trail", element("p", said)
    rows = [
        (
            f"{event.at:%Y-%m-%d %H:%M} UTC",
            event.kind,
            event.from_stage
            if event.from_stage == event.to_stage
            else f"{event.from_stage} → {event.to_stage}",
            event.reason,
        )
        for event in report.events
    ]
    columns = ("at", "what", "stage", "reason")
    return "history", "Audit trail", table("Oldest first", columns, rows, words=True)


def provenance(report: ReportData) -> Section:
    """Return where it comes from: what it takes to compute it again."""
    stored = dict(report.configuration.provenance)
    quality, versions = stored.pop("quality", None) or {}, stored.pop("runtime_env", None) or {}
    rows = [("job", report.job.id), *((name, _value(value)) for name, value in stored.items())]
    measured = [(name, _value(value)) for name, value in quality.items()]
    used = list(versions.items())
    parts = [
        table("Origin", ("what", "value"), rows, words=True),
        _folded("Versions", table("By name", ("what", "version"), used, words=True)),
        _folded(
            "Quality of the candles",
            table("As they came", ("measure", "value"), measured, words=True),
        ),
    ]
    return "provenance", "Provenance", joined(parts)


def document(report: ReportData) -> Section:
    """Return the configuration that is traded, to read and to save."""
    text = json.dumps(report.configuration.document, indent=2, ensure_ascii=False)
    encoded = base64.b64encode(f"{text}\n".encode()).decode()
    save = element(
        "a",
        "Save the JSON",
        href=f"data:application/json;base64,{encoded}",
        download=f"{report.configuration.id}.json",
    )
    parts = [element("p", save, class_="screen"), _folded("Read it", element("pre", text))]
    return "document", "Configuration V3", joined(parts)


def _value(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)


def _folded(title: str, inner: Markup) -> Markup:
    return element("details", element("summary", title), inner)


def _missing(report: ReportData, part: str) -> Markup:
    reason = report.missing.get(part, f"The {part} were not asked for.")
    return element("p", reason, class_="soft missing")


def drawing(name: str, caption: str, style: str = "figure") -> Markup:
    """Return the place of a figure of the payload, with its caption."""
    place = element("div", id=name, class_=style, role="img", aria_label=caption)
    return element("figure", place, element("figcaption", caption))


def _select(name: str, label: str, options: list[tuple[str, str]], chosen: str) -> Markup:
    listing = [element("option", text, value=v, selected=v == chosen) for v, text in options]
    return element("label", label, element("select", *listing, id=name, autocomplete="off"))
