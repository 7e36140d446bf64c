"""The page of one configuration as one HTML file."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.report import sections
from pipeline.report.html import element, joined
from pipeline.report.loading import ReportData
from pipeline.report.payload import payload
from pipeline.report.sections import Section
from pipeline.report.shell import shell

#: In the order in which they are read.
SECTIONS: tuple[Callable[[ReportData], Section], ...] = (
    sections.verdict,
    sections.performance,
    sections.windows,
    sections.parameters,
    sections.surface,
    sections.luck,
    sections.trades,
    sections.circuit_breakers,
    sections.history,
    sections.provenance,
    sections.document,
)


def page(report: ReportData) -> str:
    """Return the page of a configuration.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    made = [section(report) for section in SECTIONS]
    contents = element(
        "nav",
        *(element("a", title, href=f"#section-{name}") for name, title, _ in made),
        aria_label="Contents",
    )
    parts = [
        element("section", element("h2", title), inner, id=f"section-{name}")
        for name, title, inner in made
    ]
    mark = "SYNTHETIC " if report.explanation.synthetic else ""
    title = f"{mark}{report.explanation.market} {report.explanation.stage}"
    body = joined([element("header", sections.head(report), contents), element("main", *parts)])
    return shell(title, body, payload(report))
