"""Show configurations side by side: figures, curves, correlation, gates, parameters, settings."""

from collections.abc import Sequence
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from pipeline.errors import ConflictError, NotFoundError, UserError
from pipeline.report.comparison import CORRELATION, LEAST, LETTERS, Comparison, Line, curves
from pipeline.validation.wording import defined, plural
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.table import table

_CURVES = "Net profit, net of all costs, marked to market every day. Every curve begins at zero."


async def compare_page(service: Service, request: Request) -> None:
    """Show the configurations that an address names, or say why they cannot be."""
    ids = request.query_params.getlist("id")
    with frame.page("Compare", "/configurations", notice=service.read_only) as theme:
        try:
            comparison = await frame.ask(service.comparison.of, ids)
        except UserError as error:
            known = {NotFoundError: 404, ConflictError: 409}
            status = known.get(type(error), 422)
            frame.refusal(error, "Choose configurations: tick two to six", _choice(ids), status)
            return
        for one, reason in comparison.refused.items():
            frame.warning(f"{one} is left out: {reason}.")
        if comparison.invented is not None:
            frame.synthetic(comparison.invented)
        choice = _choice([one.configuration.id for one in comparison.candidates])
        frame.part("compare.jinja", "named", comparison.candidates, LETTERS, choice)
        with ui.element("ul"):
            for remark in comparison.remarks():
                frame.text("li", remark)
        lines = comparison.figures()
        _section("Figures", "Out of sample, net of costs; each on its own days", comparison, lines)
        common = comparison.on_common_days()
        if common and not comparison.same_days:
            days = plural(len(comparison.common), "day")
            _section("On common days", f"The {days} that all have", comparison, common)
        with ui.element("section"):
            frame.text("h2", "Equity")
            theme.drawing(curves(comparison), _CURVES, "figure tall", "id=curves")
        _correlation(comparison)
        _section("Gates", "Outcomes", comparison, comparison.gates(), marked=True)
        parameters = comparison.parameters()
        _section("Parameters", "As they are stored", comparison, parameters, marked=True)
        settings = comparison.settings()
        different = [line for line in settings if line.differs]
        if different:
            _section("Settings", "What differs", comparison, different, marked=True)
        with ui.element("details"):
            alike = [line for line in settings if not line.differs]
            frame.text("summary", f"{plural(len(alike), 'setting')} alike in all")
            _table("What is alike", comparison, alike)


def _choice(ids: Sequence[str]) -> str:
    """Return the address of the list with these ticked."""
    return f"/configurations?{urlencode({'ticked': ','.join(ids)}, safe=',')}"


def _section(
    title: str, caption: str, comparison: Comparison, lines: Sequence[Line], *, marked: bool = False
) -> None:
    with ui.element("section"):
        frame.text("h2", title)
        _table(caption, comparison, lines, marked=marked)


def _table(
    caption: str, comparison: Comparison, lines: Sequence[Line], *, marked: bool = False
) -> None:
    """Lay out lines; with ``marked`` a word says which of them are not alike."""
    named = zip(LETTERS, comparison.candidates, strict=False)
    columns = ("", *(f"{letter} {one.short}" for letter, one in named))

    def fill(line: Line) -> None:
        with frame.text("th", frame.in_labels(line.label)).props("scope=row"):
            if marked and line.differs:
                frame.text("span", "differs", "differs")
        for place, written in enumerate(line.written):
            with frame.text("td", "", "compared"):
                frame.text("b" if place in line.best else "span", written)
                if place in line.best:
                    frame.text("span", "better" if len(line.values) == LEAST else "best", "best")

    with frame.region(caption).classes("numbers"):
        table(caption, columns, lines, fill, style="")


def _correlation(comparison: Comparison) -> None:
    correlation, days = comparison.correlation
    named = list(zip(LETTERS, comparison.candidates, strict=False))

    def fill(place: int) -> None:
        letter, one = named[place]
        frame.text("th", f"{letter} {one.market}").props("scope=row")
        for value, shared in zip(correlation[place], days[place], strict=True):
            with frame.text("td", "", "compared"):
                frame.text("span", defined(float(value), ".2f"))
                frame.text("span", plural(int(shared), "day"), "soft")

    with ui.element("section"):
        frame.text("h2", "Correlation")
        frame.sentence(CORRELATION, "soft")
        with frame.region("Correlation").classes("numbers"):
            columns = ("", *(letter for letter, _ in named))
            table("Of daily returns", columns, range(len(named)), fill, style="")
