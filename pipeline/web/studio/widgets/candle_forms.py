"""Bring candles into the store: fetch them from their exchanges, or import a file of them.

A fetch shows how far it is; of a file, what it would change is shown before it is written.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

import numpy as np
from nicegui import ui
from nicegui.events import GenericEventArguments

from pipeline.errors import UserError
from pipeline.validation.wording import duration, plural
from pipeline.web.service.candle_models import Difference, FetchRequest, FetchView, ImportAnswer
from pipeline.web.service.candles import CandleService
from pipeline.web.service.requests import History
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.form import Fields, MistakeError, mark

#: Seconds between two looks, and fetches that are shown.
EVERY, SHOWN = 1.0, 20


class FetchForm(frame.Refresh):
    """Which markets to fetch, for which days; and the fetches of this server, whoever began them.

    ``markets`` are names by what pages call them. ``address`` has ``fetch``, names of markets, and
    fields of a `History`, as a link to this page has them. ``changed`` is looked at after a fetch.
    """

    def __init__(
        self,
        candles: CandleService,
        markets: Mapping[str, str],
        address: Mapping[str, str],
        changed: frame.Refresh,
        read_only: str | None,
    ) -> None:
        super().__init__()
        self._candles, self._changed, self._read_only = candles, changed, read_only
        self._names = markets
        self._cards: dict[str, FetchCard] = {}
        self._ended: set[str] = set()
        if read_only is None:
            chosen = [name for name in address.get("fetch", "").split(",") if name]
            self._markets = market_select(markets, chosen, several=True)
            frame.sentence("The newest days or years, or from and up to. Empty: a year.", "soft")
            with ui.element("div").classes("fields"):
                self._history = Fields(History, lambda: None)
            self._history.take(address)
            self._wrong = frame.sentence("", "wrong").props("role=alert")
            ui.button("Fetch", on_click=self._start, color=None).classes("primary")
        self._none = frame.sentence("Nothing was fetched since this server started.", "soft")
        self._list = ui.element("ul").classes("jobs").props('aria-label="Fetches"')

    async def _start(self) -> None:
        self._wrong.set_text("")
        names = [self._names.get(word, word) for word in self._markets.value or []]
        if not names:
            self._wrong.set_text("Choose a market to fetch.")
            return
        try:
            request = FetchRequest(markets=names, history=self._history.request())
            await frame.ask(self._candles.fetches.start, request)
        except MistakeError as error:
            self._wrong.set_text(" ".join(error.sentences))
        except UserError as error:
            self._wrong.set_text(frame.in_labels(str(error)))
        except ValueError as error:  # a word that is no market's
            self._wrong.set_text(" ".join(mark(error, {}, {})))  # type: ignore[arg-type]
        await self.refresh()

    async def _look(self) -> None:
        page = await frame.ask(self._candles.fetches.page, SHOWN)
        self._none.set_visibility(not page.fetches)
        for gone in self._cards.keys() - {one.id for one in page.fetches}:
            self._cards.pop(gone).delete()
        for place, one in enumerate(page.fetches):
            if one.id not in self._cards:
                with self._list:
                    self._cards[one.id] = FetchCard(self._candles, one, self._read_only)
            self._cards[one.id].show(one, place)
        ended = {one.id for one in page.fetches if one.ended_at is not None}
        if ended - self._ended:
            self._ended = ended
            await self._changed.refresh()


class FetchCard:
    """One fetch: how far it is, or how it ended."""

    def __init__(self, candles: CandleService, one: FetchView, read_only: str | None) -> None:
        self._candles, self._id = candles, one.id
        self._view: FetchView | None = None
        with ui.element("li").classes("card job") as self._card:
            with ui.element("div").classes("line"):
                with frame.text("h3", ""):
                    ui.link(one.candles_id, f"/candles/{one.candles_id}")
                last = one.until - timedelta(milliseconds=1)
                frame.text("span", f"{one.since:%Y-%m-%d} to {last:%Y-%m-%d}", "soft")
                self._badge = frame.text("span", "", "badge")
                self._cancel = ui.button("Cancel", on_click=self._end).props(
                    f'outline aria-label="Cancel the fetch of {one.candles_id}"'
                )
            self._bar = ui.linear_progress(show_value=False, size="0.6rem")
            self._said = frame.sentence("", "soft")
            self._error = frame.sentence("", "wrong")
            self._notes = frame.sentence("", "soft")
        self._may_cancel = read_only is None

    def delete(self) -> None:
        """Take the card off the page."""
        self._card.delete()

    def show(self, one: FetchView, place: int) -> None:
        """Show a state, at a place of the list."""
        self._card.move(target_index=place)
        if one == self._view:
            return
        self._view = one
        self._badge.set_text(one.status)
        self._badge.classes(replace=f"badge {one.status}")
        self._cancel.set_visibility(one.ended_at is None and self._may_cancel)
        share = one.candles / one.total if one.candles is not None and one.total else 0.0
        self._bar.set_visibility(one.status == "running")
        self._bar.set_value(share)
        said = _far(one)
        self._bar.props(f'aria-label="{one.candles_id}: {said or "begins"}"')
        self._said.set_text(said)
        self._error.set_text(frame.in_labels(one.error or ""))
        self._notes.set_text(" ".join(one.notes[-1 if one.status == "running" else -3 :]))

    async def _end(self) -> None:
        await frame.attempt(self._candles.fetches.cancel, self._id)


def market_select(markets: Mapping[str, str], names: Sequence[str], *, several: bool) -> ui.select:
    """Add a choice of markets by what pages call them, or in one word; ``names`` are ticked."""
    shown = {name: word for word, name in markets.items()}
    chosen = [shown.get(name, name) for name in names]
    options = list(dict.fromkeys((*markets, *chosen)))
    select = (
        ui.select(
            options,
            label="markets" if several else "market",
            value=chosen if several else next(iter(chosen), None),
            multiple=several,
            with_input=True,
            new_value_mode="add-unique",
        )
        .props("outlined use-chips" if several else "outlined")
        .classes("wide-field hinted")
    )
    select.props["hint"] = "or a word such as okx:DOGE/USDT:30m"
    return select


def _far(one: FetchView) -> str:
    """``12,000 of 105,408 candles, about 2 min left``."""
    parts = []
    if one.candles is not None and one.total is not None:
        of = "" if one.status == "completed" else f" of {one.total:,}"
        parts.append(f"{one.candles:,}{of} candles")
    if one.seconds_left is not None:
        parts.append(f"about {duration(one.seconds_left)} left")
    if one.quality is not None:
        parts.append(f"quality {frame.in_labels(one.quality)}")
    if one.ended_at is not None:
        parts.append(f"ended {one.ended_at:%Y-%m-%d %H:%M} UTC")
    return ", ".join(parts)


_COLUMNS = ("bar (UTC)", "figure", "stored", "in the file")


class ImportForm:
    """A file and its market, what an import would do, and the buttons that do it.

    The browser sends the file to ``POST /api/candles/imports``, as any other client; what is
    answered comes back as an event. ``changed`` is looked at again when something was written.
    """

    def __init__(self, markets: Mapping[str, str], limit: int, changed: frame.Refresh) -> None:
        self._changed, self._names = changed, markets
        ui.add_body_html(frame.script("upload.js"))
        ui.on("looked_at", self._looked)
        frame.sentence(
            f"CSV, JSON, Parquet, feather or a zip of those, at most {limit / 1e6:,.0f} MB; larger"
            " ones: scripts/fetch market=MARKET import=FILE. Drop the file on the field, or choose"
            " it. Nothing is written before you say so.",
            "soft",
        )
        self._market = market_select(markets, (), several=False)
        with ui.element("div").classes("line"):
            label = frame.text("label", "File of candles ", "soft").props("for=candle-file")
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
        self._said = frame.sentence("").props("role=status")
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
            self._said.set_text(frame.in_labels(str(body)))
            return
        answer = ImportAnswer.model_validate(body)
        self._said.set_text(in_words(answer))
        with self._answer:
            self._show(answer)
        if answer.written:
            await self._changed.refresh()

    def _show(self, answer: ImportAnswer) -> None:
        for note in answer.notes:
            frame.sentence(note, "soft")
        if answer.examples:
            with frame.region("Figures that differ"):
                frame.text_table(
                    "The first that differ", _COLUMNS, map(_difference, answer.examples)
                )
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
