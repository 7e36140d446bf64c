"""Import a file of candles: choose it, look at what it would change, then write it."""

import json
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

import numpy as np
from nicegui import ui
from nicegui.events import GenericEventArguments

from pipeline.validation.wording import plural
from pipeline.web.service.candle_answers import Difference, ImportAnswer
from pipeline.web.studio.frame import Refresh, in_labels, region, script, sentence, text, text_table
from pipeline.web.studio.widgets.candle_fetch import market_select

_COLUMNS = ("bar (UTC)", "figure", "stored", "in the file")


class ImportForm:
    """A file and its market, what an import would do, and the buttons that do it.

    The browser sends the file to ``POST /api/candles/imports``, as any other client; what is
    answered comes back as an event. ``changed`` is looked at again when something was written.
    """

    def __init__(self, markets: Mapping[str, str], limit: int, changed: Refresh) -> None:
        self._changed, self._names = changed, markets
        ui.add_body_html(script("upload.js"))
        ui.on("looked_at", self._looked)
        sentence(
            f"CSV, JSON, Parquet, feather or a zip of those, at most {limit / 1e6:,.0f} MB; larger"
            " ones: scripts/fetch market=MARKET import=FILE. Drop the file on the field, or choose"
            " it. Nothing is written before you say so.",
            "soft",
        )
        self._market = market_select(markets, (), several=False)
        with ui.element("div").classes("line"):
            label = text("label", "File of candles ", "soft").props("for=candle-file")
            with label:
                ui.element("input").props("type=file id=candle-file").classes("drop")
        with ui.expansion("Dates and numbers").classes("more"), ui.element("div").classes("fields"):
            self._zone = ui.input("time zone of dates (empty: UTC)").props("outlined")
            self._decimal = ui.select(
                {"": "as the numbers tell", "point": "point", "comma": "comma"},
                label="decimal mark",
                value="",
            ).props("outlined")
        self._look = ui.button("Look at the file", on_click=lambda: self._send(), color=None)
        self._look.classes("primary")
        self._said = sentence("").props("role=status")
        self._answer = ui.element("div")

    def _send(self, **more: str) -> None:
        """Have the browser send the file."""
        if not self._market.value:
            self._said.set_text("Choose the market of the file.")
            return
        words = {"market": self._names.get(self._market.value, self._market.value)}
        words |= {"timezone": self._zone.value, "decimal": self._decimal.value} | more
        query = urlencode({name: word for name, word in words.items() if word})
        self._said.set_text("Reading the file …")
        self._look.disable()
        ui.run_javascript(f"sendCandles('candle-file', {json.dumps(query)})")
        self._answer.clear()  # last: the button that was pressed may lie in it

    async def _looked(self, event: GenericEventArguments) -> None:
        """Show what was answered."""
        self._look.enable()
        status, body = event.args["status"], event.args["body"]
        if status != 200:
            self._said.set_text(in_labels(str(body)))
            return
        answer = ImportAnswer.model_validate(body)
        self._said.set_text(in_words(answer))
        with self._answer:
            self._show(answer)
        if answer.written:
            await self._changed.refresh()

    def _show(self, answer: ImportAnswer) -> None:
        for note in answer.notes:
            sentence(note, "soft")
        if answer.examples:
            with region("Figures that differ"):
                text_table("The first that differ", _COLUMNS, map(_difference, answer.examples))
        if answer.written:
            ui.link(f"See {answer.id}", f"/candles/{answer.id}")
            return
        with ui.element("div").classes("line"):
            if answer.different or answer.only_stored or answer.only_imported:
                for truth, label in (
                    ("stored", "Import, and keep the stored candles where they differ"),
                    ("imported", "Import, and overwrite the stored candles that differ"),
                ):
                    send = partial(self._send, write="true", truth=truth)
                    ui.button(label, on_click=send).props("outline")
            elif answer.new:
                label = f"Import {plural(answer.new, 'candle')}"
                send = partial(self._send, write="true")
                ui.button(label, on_click=send, color=None).classes("primary")


def in_words(answer: ImportAnswer) -> str:
    """Say what an import does, or did."""
    parts = [f"{answer.new:,} new", f"{answer.same:,} stored already with the same figures"]
    parts += [
        f"{count:,} {what}"
        for count, what in (
            (answer.different, "stored with other figures"),
            (answer.only_imported, "of times for which the store says that there is none"),
        )
        if count
    ]
    done = "Written" if answer.written else "Nothing is written yet"
    lacks = f" {plural(answer.only_stored, 'stored candle')} are not in it." * (
        answer.only_stored > 0
    )
    return (
        f"{answer.file} has {plural(answer.candles, 'candle')} of {answer.id} from"
        f" {answer.first:%Y-%m-%d %H:%M} to {answer.last:%Y-%m-%d %H:%M} UTC: {', '.join(parts)}."
        f"{lacks} {done}."
    )


def _difference(row: Difference) -> tuple[str, ...]:
    values = (np.format_float_positional(value, trim="-") for value in (row.stored, row.imported))
    return f"{row.bar:%Y-%m-%d %H:%M}", row.figure, *values
