"""The page of a sweep: all its markets, judged together, in one HTML file."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.report.html import Markup, element, joined, listed, table
from pipeline.report.sections import banner, drawing
from pipeline.report.shell import shell
from pipeline.report.sweep_figures import Q_LIMIT, discoveries, sharpe_ratios
from pipeline.report.sweep_loading import SweepReport, SweptMarket
from pipeline.report.theme import bare, template
from pipeline.validation.stages import STAGES
from pipeline.validation.wording import VERDICTS, defined, number, plural


def sweep_page(report: SweepReport) -> str:
    """Return the page of a sweep.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    parts = [_head(report), _verdict(report), _figures(), _table(report), _failures(report)]
    body = joined([element("main", *parts)])
    return shell(f"Sweep of {plural(len(report.markets), 'market')}", body, sweep_payload(report))


def sweep_payload(report: SweepReport) -> dict[str, Any]:
    """Return what the page draws."""
    figures = {"sharpe": sharpe_ratios(report.markets), "discoveries": discoveries(report.markets)}
    return {
        "templates": {"light": template("light"), "dark": template("dark")},
        "figures": {name: bare(figure) for name, figure in figures.items()},
    }


def _head(report: SweepReport) -> Markup:
    days = "generated candles"
    if report.since is not None:
        days = f"candles from {report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}"
    said = (
        f"Sweep {report.id}, {report.status}, begun {report.created_at:%Y-%m-%d %H:%M} UTC; {days}"
    )
    title = f"{plural(len(report.markets), 'market')} · {report.strategy} · {report.optimizer}"
    mark = banner("SYNTHETIC candles: those figures say nothing about a market.")
    synthetic = any(market.synthetic for market in report.markets)
    return element(
        "header",
        element("h1", title),
        element("p", said, class_="soft"),
        mark if synthetic else Markup(),
    )


def _verdict(report: SweepReport) -> Markup:
    """Count the stages, and say what they mean together."""
    counted = Counter((market.stage, market.outcome) for market in report.markets)
    ranked = sorted(counted, key=lambda kind: (-STAGES.index(kind[0]) if kind[0] else 1, kind[1]))
    sentences = [
        f"{counted[stage, outcome]} {outcome}" + (f": {VERDICTS[stage]}" if stage else "")
        for stage, outcome in ranked
    ]
    tested = [m for m in report.markets if m.fdr_q_value is not None]
    found = [m for m in tested if m.fdr_q_value is not None and m.fdr_q_value < Q_LIMIT]
    together = (
        f"Of {plural(len(tested), 'market')} with a p-value, {len(found)} have a q-value below"
        f" {number(Q_LIMIT)}: of such discoveries that share, and no more, is expected to be luck."
        " Synthetic markets are judged among themselves."
    )
    return element("section", element("h2", "Verdict"), listed(sentences), element("p", together))


def _figures() -> Markup:
    return element(
        "section",
        element("h2", "Out of sample"),
        drawing(
            "sharpe", "Sharpe ratio out of sample, annualised, the best on top.", "figure tall"
        ),
        drawing(
            "discoveries",
            f"p-values in order, and the line of Benjamini and Hochberg for q = {Q_LIMIT:g}: all up"
            " to the last one below it are discoveries. Each kind of candles has its own.",
        ),
    )


def _table(report: SweepReport) -> Markup:
    rows = [
        (
            market.market,
            market.outcome,
            *_metrics(market),
            "-" if market.p_value is None else number(market.p_value),
            "-" if market.fdr_q_value is None else number(market.fdr_q_value),
            "-" if market.seconds is None else f"{market.seconds:,.1f}",
            "-" if market.configuration is None else market.configuration.id,
        )
        for market in report.markets
    ]
    columns = (
        *("market", "stage", "net out of sample", "Sharpe", "trades", "p", "q", "seconds"),
        "configuration",
    )
    return element("section", element("h2", "Markets"), table("In order", columns, rows))


def _metrics(market: SweptMarket) -> tuple[str, ...]:
    forms = (("net_profit", "+.2%"), ("sharpe_ratio", ".2f"), ("sample_size", "d"))
    if market.configuration is None:
        return ("-",) * len(forms)
    return tuple(defined(market.configuration.out_of_sample[name], form) for name, form in forms)


def _failures(report: SweepReport) -> Markup:
    failed = [f"{m.market}: {m.error}" for m in report.markets if m.error is not None]
    if not failed:
        return Markup()
    return element("section", element("h2", "What failed"), listed(failed))
