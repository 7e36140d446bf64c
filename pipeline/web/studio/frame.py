"""Build what every page has: its frame, theme and elements, and its calls of the service."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

from markupsafe import Markup, escape
from nicegui import context, ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from pipeline.errors import ConflictError, UserError
from pipeline.report.echart import is_known, option
from pipeline.report.shell import bound, macro
from pipeline.report.theme import Figure, template
from pipeline.report.theme import Theme as ThemeName
from pipeline.validation.stages import Stage
from pipeline.validation.wording import SYNTHETIC, marked
from pipeline.web.service.requests import is_id
from pipeline.web.studio import reader
from pipeline.web.studio.widgets.mistakes import in_labels as in_labels  # pages take it here

_PAGES = (
    ("Train", "/"),
    ("Jobs", "/jobs"),
    ("Configurations", "/configurations"),
    ("Candles", "/candles"),
    ("Live", "/live"),
    ("Sweeps", "/sweeps"),
)

#: Quasar's own green and light blue are too bright for the white words of a message.
COLOURS = {"primary": "#1f5fae", "positive": "#17704f", "info": "#1f5fae"}


@contextmanager
def page(
    title: str, here: str, *, headed: bool = True, notice: str | None = None
) -> Iterator[Theme]:
    """Lay out a page; its contents go inside.

    Parameters
    ----------
    title : str
        Its heading.
    here : str
        The path of the part that it belongs to.
    headed : bool
        Whether the title is shown; what is laid out may bring a heading of its own.
    notice : str or None
        A sentence on top: what cannot be done on this server.
    """
    reader.forget_unopened()
    ui.page_title(f"{title} · Strategy Studio")
    ui.run_javascript("document.documentElement.classList.add('ready')")  # once it is connected
    ui.colors(**COLOURS)
    for package, style in (("pipeline.report", "page.css"), ("pipeline.web.studio", "studio.css")):
        ui.add_css((files(package) / style).read_text("utf-8"))
    theme = Theme()
    with ui.header().classes("bar"):
        ui.link("Strategy Studio", "/").classes("brand")
        with ui.element("nav").props('aria-label="Pages"'):
            for name, path in _PAGES:
                link = ui.link(name, path)
                if path == here:
                    link.props("aria-current=page")
        switch = ui.button(icon="contrast", on_click=theme.switch).props("flat round color=white")
        switch.props('aria-label="Switch between light and dark"')
    contents = ui.element("div").classes("page")  # inside the <main> that NiceGUI makes
    ui.skip_link("Skip to the contents", target=contents)
    with contents:
        if headed:
            text("h1", title)
        if notice is not None:
            sentence(notice, "warning").props("role=note")
        yield theme


def script(name: str) -> str:
    """Return a script of the Studio's own as markup."""
    return f"<script>{(files('pipeline.web.studio') / name).read_text('utf-8')}</script>"


class _Text(TextElement):
    """Holds a text, in which no line ends before a percent sign."""

    def _text_to_model_text(self, text: str) -> None:
        super()._text_to_model_text(bound(text))


def text(tag: str, content: str, style: str = "") -> TextElement:
    """Add an element that holds text, never markup."""
    return _Text(tag=tag, text=content).classes(style)


def sentence(content: str, style: str = "") -> TextElement:
    """Add a paragraph."""
    return text("p", content, style)


def warning(content: str) -> TextElement:
    """Add a paragraph that a screen reader says at once."""
    return sentence(content, "warning").props("role=alert")


#: Seconds between two looks at the server's health.
HEALTH_EVERY = 5.0


def follow_trouble(trouble: Callable[[], str | None]) -> None:
    """Add a warning that is shown while the queue is in trouble."""
    banner = warning("")
    banner.set_visibility(False)

    async def look() -> None:
        reason = await ask(trouble)
        banner.text = reason or ""
        banner.set_visibility(reason is not None)

    ui.timer(HEALTH_EVERY, look)


def inside(selector: str) -> ui.teleport:
    """Open an element of markup of `pipeline.report`; what is made there stays there."""
    teleport = ui.teleport(selector)
    # Each update of a teleport makes its contents anew, and the plot that was there never learns
    # that it is gone. No public switch turns this off (NiceGUI 3.18): hence the private one.
    teleport._update_method = None
    return teleport


def identity(kind: str, word: str) -> str:
    """Return the id that an address names; `UserError` where none of this kind looks so."""
    if not is_id(kind, word):
        raise UserError(f"That is no id of a {kind}.")
    return word


def refusal(
    error: UserError, back: str, path: str, status: int | None = None, what: str = ""
) -> bool:
    """Say what is not at this address, with a way back.

    What is stored and is not what was stored is no fault of the address: the status is 200, and the
    answer True. A heading says which of both it is of ``what``.
    """
    stored = isinstance(error, ConflictError)
    if what:
        text("h1", f"A {what} that cannot be read" if stored else f"No such {what}")
    ui.status_code(status or (200 if stored else 404))
    warning(str(error))
    ui.link(back, path)
    return stored


def markup(inner: Markup, tag: str = "div") -> ui.html:
    """Add markup of `pipeline.report`, in which every text is escaped already."""
    return ui.html(inner, sanitize=False, tag=tag)


def part(template: str, name: str, *given: Any) -> ui.html:
    """Add what a macro of `pipeline.report` makes."""
    return markup(macro(template, name, *given))


def follow_address(address: Callable[[], Mapping[str, str]]) -> None:
    """Load the page anew when the reader goes back or forward to another one than ``address()``."""

    def went(event: GenericEventArguments) -> None:
        if dict(parse_qsl(event.args)) != address():
            ui.navigate.reload()

    ui.add_body_html(script("history.js"))
    ui.on("went", went)


def synthetic(content: str = SYNTHETIC) -> TextElement:
    """Mark what comes of invented candles."""
    return sentence(content, "synthetic").props("role=note")


def stage_badge(stage: Stage, synthetic: bool) -> ui.element:
    """Add a stage's badge; results on invented candles say so in it."""
    return text("span", marked(stage, synthetic), stage_look(stage, synthetic))


def beats_luck(answer: str, reason: str) -> None:
    """Add a cell that says whether a row beats luck, and why so."""
    with text("td", ""), ui.element("div"):
        text("div", answer)
        text("div", reason, "soft because")


def stage_look(stage: Stage, synthetic: bool) -> str:
    """Return the look of a stage's badge; invented candles promise nothing there."""
    return "badge" if synthetic else f"badge stage-{stage.lower()}"


COOKIE = "theme"
_YEAR = 365 * 86_400
_PREFERRED = "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'"
#: What draws a figure: ECharts, or plotly where it is not known to that.
Chart = ui.plotly | ui.echart


class Theme:
    """The theme of one open page, and the figures that follow it."""

    def __init__(self) -> None:
        request = context.client.request
        chosen = request.cookies.get(COOKIE)
        self._is_chosen = chosen in ("light", "dark")
        self._touch = "Mobi" in request.headers.get("user-agent", "")
        self._name: ThemeName = "dark" if chosen == "dark" else "light"
        self._mode = ui.dark_mode((chosen == "dark") if self._is_chosen else None)
        self._drawn: list[ui.plotly] = []
        for name in ("figures.js", "candles.js"):  # before any chart that names what is in them
            ui.add_head_html(script(name))

    async def name(self) -> ThemeName:
        """Return which theme is shown, asking the browser where nothing was chosen."""
        if not self._is_chosen:
            await reader.connected()
            preferred = await reader.in_browser(_PREFERRED)
            self._name = "dark" if preferred == "dark" else "light"
            self._is_chosen = True
        return self._name

    async def switch(self) -> None:
        """Change to the other theme, and remember it."""
        self._name = "light" if await self.name() == "dark" else "dark"
        await reader.in_browser(  # kept before it is shown: the reader may leave at once
            f"document.cookie = '{COOKIE}={self._name}; path=/; max-age={_YEAR}; SameSite=Strict'"
        )
        self._mode.value = self._name == "dark"
        self._drawn = [plot for plot in self._drawn if not plot.is_deleted]
        for plot in self._drawn:
            plot.figure["layout"]["template"] = template(self._name)
            plot.update()

    def draw(self, figure: Figure) -> Chart:
        """Draw a figure of `pipeline.report` that was made for this theme or for none."""
        if is_known(figure):
            return ui.echart(option(figure), renderer="svg")
        if not self._drawn:
            source = (files("pipeline.web.studio") / "print.js").read_text("utf-8")
            ui.run_javascript(source.replace("LIGHT", json.dumps(template("light"))))
        plot = ui.plotly(self._dressed(figure))
        self._drawn.append(plot)
        return plot

    def drawing(
        self, figure: Figure, caption: str, style: str = "figure", props: str = ""
    ) -> Chart:
        """Draw a figure with its caption, which a screen reader says of it."""
        with ui.element("figure"):
            with ui.element("div").classes(style).props(f"role=img {props}") as place:
                place.props["aria-label"] = caption
                chart = self.draw(figure).classes("filling")
            text("figcaption", caption)
        return chart

    def place(self, name: str, figure: Figure) -> None:
        """Draw a figure in the place of its name in markup of `pipeline.report`."""
        with inside(f"#{name}"):
            self.draw(figure).classes("filling")

    def redraw(self, chart: Chart, figure: Figure) -> Chart:
        """Show another figure in the place of a chart of this page; return its chart."""
        if is_known(figure) == isinstance(chart, ui.plotly):
            place = chart.parent_slot
            chart.delete()
            assert place is not None
            with place:
                return self.draw(figure).classes("filling")
        if isinstance(chart, ui.plotly):
            chart.update_figure(self._dressed(figure))
        else:
            chart.options.clear()
            chart.options.update(option(figure))
            chart.update()
        return chart

    def _dressed(self, figure: Figure) -> dict[str, Any]:
        layout = {**figure["layout"], "template": template(self._name)}
        if self._touch:
            layout["dragmode"] = False  # a finger scrolls the page
        shown = {"displaylogo": False, "displayModeBar": "hover", "scrollZoom": False}
        return {"data": figure["data"], "layout": layout, "config": shown}


P = ParamSpec("P")
Answer = TypeVar("Answer")


async def ask(call: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
    """Call the service in a thread: it reads a database, and may reckon for seconds.

    Raises
    ------
    PageLeftError
        When the reader has left the page, before or meanwhile: what asked goes no further.
    """
    client = reader.client_here()
    reader.check_open(client)
    answer = await asyncio.to_thread(call, *args, **kwargs)
    reader.check_open(client)
    return answer


def begin(call: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> asyncio.Task[Answer]:
    """Call the service while the browser runs the scripts of the page; it is awaited after that.

    What a page has begun that is left meanwhile ends without a word.
    """
    task = asyncio.create_task(asyncio.to_thread(call, *args, **kwargs))
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # it was seen
    return task


async def attempt(call: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer | None:
    """Call the service; a refusal is shown in the page's corner, and None returned."""
    try:
        return await ask(call, *args, **kwargs)
    except UserError as error:
        options: dict[str, Any] = {"multi_line": True, "timeout": 10_000, "close_button": "Close"}
        ui.notify(with_links(in_labels(str(error))), type="negative", html=True, **options)
        return None


def with_links(said: str) -> Markup:
    """Escape a text for HTML, and make links of the addresses of jobs and sweeps in it."""
    address = re.compile(r"(?<= )(/(?:jobs|sweeps)/[0-9a-f]{32})")
    return Markup(address.sub(r'<a href="\1">\1</a>', str(escape(said))))


def region(label: str) -> ui.element:
    """Add a place for a table, which scrolls sideways by keys too."""
    place = ui.element("div").classes("scroll")
    return place.props(f'tabindex=0 role=region aria-label="{label}"')


def text_table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], style: str = "cards"
) -> ui.html:
    """Add a table of words: one element, where `table` takes a millisecond for every few cells."""
    return part("macros.jinja", "words", caption, columns, list(rows), style)


class Refresh(ABC):
    """A part of a page that follows the database."""

    def __init__(self) -> None:
        self._looking = False

    async def refresh(self) -> None:
        """Bring the page up to what the database says; one look at a time."""
        if self._looking:
            return
        self._looking = True
        try:
            await self._look()
        finally:
            self._looking = False

    @abstractmethod
    async def _look(self) -> None:
        """Look once, and show what is there."""
