"""Render the parts of a configuration's page, which the Studio shows one by one."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from markupsafe import Markup

from gpu_engine.records import REASONS
from pipeline.report import payload
from pipeline.report.figures import setting
from pipeline.report.loading import ReportData, trade_time
from pipeline.report.shell import TEMPLATES
from pipeline.report.trades import side
from pipeline.results.artifacts import NullDistribution
from pipeline.results.records import Configuration
from pipeline.validation import wording

#: Titles by id, in the order in which they are read; a macro of `sections.jinja` draws each.
TITLES = {
    "verdict": "Verdict",
    "performance": "Performance",
    "windows": "Walk-forward windows",
    "parameters": "Parameters",
    "surface": "Score surface",
    "luck": "Luck or edge",
    "trade-list": "Trades out of sample",
    "breakers": "Circuit breakers",
    "history": "Audit trail",
    "provenance": "Provenance",
    "document": "Configuration V3",
}


class Section(NamedTuple):
    """A part of the page: its id, its title, and what is in it."""

    name: str
    title: str
    inner: Markup


def title(report: ReportData) -> str:
    """Return the title of the page."""
    mark = "SYNTHETIC " if report.explanation.synthetic else ""
    return f"{mark}{report.explanation.market} {report.explanation.stage}"


def head(report: ReportData) -> Markup:
    """Return which configuration this is, and a mark where its candles were invented."""
    return _macro("head", report)


def sections(report: ReportData) -> list[Section]:
    """Return all parts in their order."""
    return [
        Section(name, heading, _macro(name.replace("-", "_"), report))
        for name, heading in TITLES.items()
    ]


def _macro(name: str, report: ReportData) -> Markup:
    made: Markup = getattr(TEMPLATES.get_template("sections.jinja").module, name)(report)
    return made


def _without_winner(null: NullDistribution) -> list[str]:
    """Say of each kind of surrogates in how many the search found nothing admissible."""
    return [
        f"In {wording.plural(int((best == -float('inf')).sum()), 'surrogate')} of {len(best):,}"
        f" {kind} nothing was admissible."
        for kind, best in null.surrogates.items()
        if (best == -float("inf")).any()
    ]


def _origin(report: ReportData) -> tuple[list[tuple[str, str]], ...]:
    """Return the rows of three tables: origin, versions, quality of the candles."""
    origin = {"job": report.job.id, **report.configuration.provenance}
    quality, versions = origin.pop("quality", None) or {}, origin.pop("runtime_env", None) or {}
    return tuple(
        [(name, _written(value)) for name, value in group.items()]
        for group in (origin, versions, quality)
    )


def _written(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)


def _document_text(configuration: Configuration) -> str:
    return json.dumps(configuration.document, indent=2, ensure_ascii=False)


#: What the templates call.
TEMPLATES.globals.update(
    REASONS=REASONS,
    base64=lambda text: base64.b64encode(text.encode()).decode(),
    document_text=_document_text,
    origin_of=_origin,
    payload=payload,
    setting=setting,
    side=side,
    trade_time=trade_time,
    without_winner=_without_winner,
    wording=wording,
)
