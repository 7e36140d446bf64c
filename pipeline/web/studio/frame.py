"""What every page has: where one is, where one can go, light or dark, a place for its contents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from pipeline.validation.stages import Stage
from pipeline.validation.wording import SYNTHETIC
from pipeline.web.studio.theme import Theme

_PAGES = (
    ("Train", "/"),
    ("Jobs", "/jobs"),
    ("Configurations", "/configurations"),
    ("Sweeps", "/sweeps"),
)


@contextmanager
def frame(title: str, here: str, *, headed: bool = True) -> Iterator[Theme]:
    """Lay out a page; its contents go inside.

    Parameters
    ----------
    title : str
        Its heading.
    here : str
        The path of the part that it belongs to.
    headed : bool
        Whether the title is shown; what is laid out may bring a heading of its own.
    """
    ui.page_title(f"{title} · Strategy Studio")
    ui.colors(primary="#1f5fae")
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
        yield theme


def text(tag: str, content: str, style: str = "") -> TextElement:
    """Add an element that holds text, never markup."""
    return TextElement(tag=tag, text=content).classes(style)


def sentence(content: str, style: str = "") -> TextElement:
    """Add a paragraph."""
    return text("p", content, style)


def warning(content: str) -> TextElement:
    """Add a paragraph that a screen reader says at once."""
    return sentence(content, "warning").props("role=alert")


def synthetic(content: str = SYNTHETIC) -> TextElement:
    """Mark what comes of invented candles."""
    return sentence(content, "synthetic").props("role=note")


def stage_badge(stage: Stage, synthetic: bool) -> ui.element:
    """Add a stage's badge; results on invented candles say so in it."""
    mark = "SYNTHETIC " if synthetic else ""
    return text("span", f"{mark}{stage}", f"badge stage-{stage.lower()}")
