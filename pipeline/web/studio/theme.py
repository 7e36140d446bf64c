"""Light or dark: what the reader chose, kept in a cookie, or what the browser prefers."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from nicegui import context, ui

from pipeline.report.theme import Figure, template
from pipeline.report.theme import Theme as ThemeName

COOKIE = "theme"
_YEAR = 365 * 86_400
_PREFERRED = "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'"


class Theme:
    """The theme of one open page, and the figures that follow it."""

    def __init__(self) -> None:
        request = context.client.request
        chosen = request.cookies.get(COOKIE)
        self._known = chosen in ("light", "dark")
        self._touch = "Mobi" in request.headers.get("user-agent", "")
        self._name: ThemeName = "dark" if chosen == "dark" else "light"
        self._mode = ui.dark_mode((chosen == "dark") if self._known else None)
        self._drawn: list[ui.plotly] = []

    async def name(self) -> ThemeName:
        """Return which theme is shown, asking the browser where nothing was chosen."""
        if not self._known:
            await context.client.connected()
            preferred = await ui.run_javascript(_PREFERRED, timeout=10.0)
            self._name = "dark" if preferred == "dark" else "light"
            self._known = True
        return self._name

    async def switch(self) -> None:
        """Change to the other theme, and remember it."""
        self._name = "light" if await self.name() == "dark" else "dark"
        await ui.run_javascript(  # kept before it is shown: the reader may leave at once
            f"document.cookie = '{COOKIE}={self._name}; path=/; max-age={_YEAR}; SameSite=Strict'",
            timeout=10.0,
        )
        self._mode.value = self._name == "dark"
        self._drawn = [plot for plot in self._drawn if not plot.is_deleted]
        for plot in self._drawn:
            plot.figure["layout"]["template"] = template(self._name)
            plot.update()

    def draw(self, figure: Figure) -> ui.plotly:
        """Draw a figure of `pipeline.report` that was made for this theme or for none."""
        if not self._drawn:
            script = (files("pipeline.web.studio") / "print.js").read_text("utf-8")
            ui.run_javascript(script.replace("LIGHT", json.dumps(template("light"))))
        plot = ui.plotly(self._dressed(figure))
        self._drawn.append(plot)
        return plot

    def redraw(self, plot: ui.plotly, figure: Figure) -> None:
        """Replace what a plot of this page shows."""
        plot.update_figure(self._dressed(figure))

    def _dressed(self, figure: Figure) -> dict[str, Any]:
        layout = {**figure["layout"], "template": template(self._name)}
        if self._touch:
            layout["dragmode"] = False  # a finger scrolls the page
        return {
            "data": figure["data"],
            "layout": layout,
            "config": {"displaylogo": False, "displayModeBar": "hover"},
        }
