"""Make the controls of the training form: fields of a request, grids of a strategy, markets."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement
from pydantic import BaseModel, ValidationError

from pipeline.config.market_word import EXAMPLES
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.validation.wording import market_name, plural, setting, written
from pipeline.web.service.answers import MarketChoice, ParameterChoice
from pipeline.web.studio.frame import sentence, synthetic, text
from pipeline.web.studio.widgets.mistakes import HINTS, clear, in_labels, label
from pipeline.web.studio.widgets.mistakes import mark as mark  # pages take it here

#: A whole number as a control holds it: more digits are none.
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,99}\s*")
#: Characters of a word of an address that a control takes.
_LONGEST = 2000


class MistakeError(ValueError):
    """What is wrong with the form: ``sentences`` in the words of its labels."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class Fields:
    """One control for every field of a model: numbers, truths, dates or words of a few.

    ``changed`` is called after every change; fields ``without`` get no control.
    """

    def __init__(
        self, model: type[BaseModel], changed: Callable[..., Any], without: Collection[str] = ()
    ) -> None:
        properties = model.model_json_schema()["properties"]
        self._schemas = {name: p for name, p in properties.items() if name not in without}
        self._controls = {
            name: _control(label(name), schema, changed) for name, schema in self._schemas.items()
        }
        for name in self._controls.keys() & HINTS.keys():
            self._controls[name].classes("hinted").props["hint"] = HINTS[name]
        self.labels = {name: label(name) for name in self._controls}
        self._model = model
        self._usual = {name: control.value for name, control in self._controls.items()}

    def words(self) -> dict[str, str]:
        """Return what the controls hold that is not what they began with, as an address has it."""
        return {
            name: "" if control.value is None else written(control.value)
            for name, control in self._controls.items()
            if control.value != self._usual[name]
        }

    def take(self, words: Mapping[str, str]) -> None:
        """Show what an address says; a word that a control does not know is left out."""
        for name, control in self._controls.items():
            if name in words:
                with suppress(ValueError):
                    control.value = _from_word(words[name], _plain(self._schemas[name]))

    def request(self, **more: Any) -> Any:
        """Return the model with what the controls hold, and ``more``.

        Raises
        ------
        MistakeError
            Where it is refused; the controls that it is about say so.
        """
        clear(self._controls)
        try:
            return self._model(**self.values(), **more)
        except ValidationError as error:
            raise MistakeError(mark(error, self._controls, self.labels)) from None

    def values(self) -> dict[str, Any]:
        """Return what the controls hold; a number of a whole kind as an int, empty as None."""
        return {
            name: _typed(control.value, _plain(self._schemas[name]))
            for name, control in self._controls.items()
        }


def _control(name: str, schema: dict[str, Any], changed: Callable[..., Any]) -> ValueElement[Any]:
    kind, default = _plain(schema), schema.get("default")
    if kind["type"] == "boolean":
        return ui.checkbox(name, value=default, on_change=changed)
    if "enum" in kind:
        select = ui.select(kind["enum"], label=name, value=default, on_change=changed)
        return select.props("outlined")
    if kind["type"] in ("string", "integer"):
        # A browser's numbers are floats: it would write another seed than was typed, or is stored.
        whole, is_date = kind["type"] == "integer", kind.get("format") == "date"
        form = "type=date stack-label" if is_date else "inputmode=numeric" if whole else ""
        shown = "" if default is None else str(default)
        return ui.input(name, value=shown, on_change=changed).props(f"outlined {form}")
    whole = kind.get("minimum", 0) >= 1
    return ui.number(
        name,
        value=default,
        # No bounds here: the control would change what lies beyond them without a word.
        step=1 if whole else 0.05 if default else 0.0001,  # costs have no default
        on_change=changed,
    ).props("outlined")


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what is given, where it may also be left empty."""
    kinds = schema.get("anyOf", [schema])
    return next(kind for kind in kinds if kind.get("type") != "null")


def _typed(value: Any, kind: dict[str, Any]) -> Any:
    if value is None or value == "":
        return None
    if kind["type"] == "integer" and _WHOLE.fullmatch(value):
        return int(value)
    return value


def _from_word(word: str, kind: dict[str, Any]) -> Any:
    """Read what `written` wrote; ValueError where it is no value of the kind."""
    if word == "" and "enum" not in kind:
        return None if kind["type"] == "number" else ""
    if kind["type"] == "boolean":
        return {"true": True, "false": False}.get(word, False)
    if kind["type"] == "integer" and not _WHOLE.fullmatch(word):
        raise ValueError(word)
    if kind["type"] == "number":
        value = float(word)
        if not math.isfinite(value):
            raise ValueError(word)
        return value
    if word not in kind.get("enum", (word,)) or len(word) > _LONGEST:
        raise ValueError(word)
    return word


class Grids:
    """One line for every parameter of a strategy, with its unit and what it means.

    On a grid a line holds values, separated by commas, "off" for no value. In a continuous space it
    holds a range, such as "0.5 to 2"; a parameter without a range keeps its values there too.
    """

    def __init__(self, parameters: Sequence[ParameterChoice], changed: Callable[..., Any]) -> None:
        self._parameters = {p.name: p for p in parameters}
        self._changed = changed
        self._continuous = False
        self._inputs: dict[str, ui.input] = {}
        #: What is written of grids (False) and of ranges (True), also while it is not shown.
        self._lines = {
            False: {p.name: _written(p.grid) for p in parameters},
            True: {p.name: _written_range(p) for p in parameters if p.low is not None},
        }
        self._fields = ui.element("div").classes("fields")
        self._summary = sentence("").props("role=status")
        self._show()

    def take_space(self, space: str) -> None:
        """Show what a space is searched by: the values of a grid, or ranges."""
        if self._continuous != (space == "continuous"):
            self._keep()
            self._continuous = not self._continuous
            self._show()

    def values(self) -> dict[str, Any]:
        """Return the grids and the ranges that were changed, as fields of a `TrainingRequest`.

        Raises
        ------
        MistakeError
            Where lines cannot be read; their controls say so too.
        """
        grids, ranges, wrong = {}, {}, []
        for name, control in self._inputs.items():
            parameter, span = self._parameters[name], self._is_range(name)
            try:
                values = _read_range(control.value) if span else _read(control.value)
            except ValueError:
                wrong.append(f"{name}: {_RANGE if span else _GRID}.")
                continue
            if span and values != [parameter.low, parameter.high]:
                ranges[name] = values
            elif not span and values != parameter.grid:
                grids[name] = values
        if wrong:
            raise MistakeError(wrong)
        return {"parameters": grids, "ranges": ranges}

    def mark(self, error: ValidationError) -> list[str]:
        """Show at its line what a request refuses; return sentences of all that it refuses."""
        return mark(error, self._inputs, {name: f"“{name}”" for name in self._inputs})

    def words(self) -> dict[str, str]:
        """Return the lines that were changed, by parameter; also those that cannot be read."""
        usual = {
            name: _written_range(p) if self._is_range(name) else _written(p.grid)
            for name, p in self._parameters.items()
        }
        lines = {name: control.value or "" for name, control in self._inputs.items()}
        return {name: line for name, line in lines.items() if line != usual[name]}

    def take(self, words: Mapping[str, str]) -> None:
        """Show what an address says of the parameters."""
        for name, control in self._inputs.items():
            if len(words.get(name, "")) in range(1, _LONGEST):
                control.value = words[name]

    def _is_range(self, name: str) -> bool:
        return self._continuous and name in self._lines[True]

    def _keep(self) -> None:
        for name, control in self._inputs.items():
            self._lines[self._is_range(name)][name] = control.value

    def _show(self) -> None:
        self._fields.clear()
        with self._fields:
            self._inputs = {name: self._line(p) for name, p in self._parameters.items()}
        self._show_summary()

    def _line(self, parameter: ParameterChoice) -> ui.input:
        span = self._is_range(parameter.name)
        read = _read_range if span else _read
        control = ui.input(
            f"{parameter.name} ({parameter.unit})",
            value=self._lines[span][parameter.name],
            on_change=self._edited,
            validation={_RANGE if span else _GRID: lambda line: _is_readable(line, read)},
        ).props("outlined")
        control.props["hint"] = parameter.meaning
        return control

    async def _edited(self) -> None:
        self._show_summary()
        await self._changed()

    def _show_summary(self) -> None:
        if self._continuous:
            self._summary.set_text("Ranges, from and to: random and bayesian draw values in them.")
            return
        grids = [control.value for control in self._inputs.values()]
        if all(map(_is_readable, grids)):
            size = math.prod(len(_read(grid)) for grid in grids)
            self._summary.set_text(f"{size:,} combinations on this grid")
        else:
            self._summary.set_text("A grid is a list of numbers, separated by commas.")


#: What a line asks for that cannot be read.
_GRID, _RANGE = "numbers, separated by commas; off for none", "two numbers, as in 0.5 to 2"


def _written(grid: Sequence[float | None]) -> str:
    return ", ".join(setting(value) for value in grid)


def _written_range(parameter: ParameterChoice) -> str:
    return f"{setting(parameter.low)} to {setting(parameter.high)}"


def _read(written: str) -> list[float | None]:
    """Read a line of values; ValueError where one is no finite number."""
    values = [None if word == "off" else float(word) for word in map(str.strip, written.split(","))]
    if not all(value is None or math.isfinite(value) for value in values):
        raise ValueError(written)
    return values


def _read_range(written: str) -> list[float]:
    """Read ``LOW to HIGH``; ValueError where it is none."""
    low, high = map(float, written.split(" to "))
    if not -math.inf < low < high < math.inf:
        raise ValueError(written)
    return [low, high]


def _is_readable(written: str, read: Callable[[str], Any] = _read) -> bool:
    try:
        read(written)
    except ValueError:
        return False
    return True


_WORDS = ("exchange", "pair", "timeframe")
_Ticked = Mapping[str, Collection[str]]


def fitting(markets: Sequence[MarketChoice], ticked: _Ticked) -> list[MarketChoice]:
    """Return the markets that are ticked in every row of ``ticked``."""
    return [m for m in markets if all(getattr(m, word) in on for word, on in ticked.items())]


def mismatch_of(markets: Sequence[MarketChoice], ticked: _Ticked) -> str:
    """Say which ticks make no market with the others, and what would; empty where all do."""
    if not all(ticked.values()):
        return ""
    if fit := fitting(markets, ticked):
        used = {getattr(market, word) for market in fit for word in _WORDS}
        idle = [option for options in ticked.values() for option in options if option not in used]
        return f"No market has {' or '.join(idle)} with the other ticks." if idle else ""
    tips = []
    for word in _WORDS:
        others = fitting(markets, {row: on for row, on in ticked.items() if row != word})
        if options := dict.fromkeys(getattr(market, word) for market in others):
            tips.append(f"the {word} {' or '.join(options)}")
    return f"No market has these ticks together. Tick {', or '.join(tips) or 'others'} instead."


class Markets:
    """Checkboxes of exchanges, pairs and timeframes, and a line for markets in one word.

    The markets are those that fit all three kinds of boxes, and those of the line.
    """

    def __init__(self, markets: Sequence[MarketChoice], changed: Callable[..., Any]) -> None:
        self._markets, self._changed = markets, changed
        self._boxes: dict[str, dict[str, ui.checkbox]] = {}
        for word in _WORDS:
            options = list(dict.fromkeys(getattr(market, word) for market in markets))
            if word == "timeframe":
                options.sort(key=timeframe_ms)
            with ui.element("fieldset"):
                text("legend", f"{word}s")
                self._boxes[word] = {
                    option: ui.checkbox(self._label(word, option), on_change=self._chosen)
                    for option in options
                }
        self._more = ui.input("more markets, with commas", on_change=self._chosen)
        self._more.classes("hinted")
        self._more.props("outlined").props["hint"] = f"EXCHANGE:SYMBOL:TIMEFRAME, as {EXAMPLES}"
        self.summary = sentence("").props("role=status")
        self._mark = synthetic("SYNTHETIC candles: what is found in them says nothing of a market.")
        self._show_summary()

    def words(self) -> dict[str, str]:
        """Return the boxes that are ticked, and the line, as an address has them."""
        ticked = {word: ",".join(options) for word, options in self._ticked().items()}
        return {k: v for k, v in (ticked | {"more": self._more.value or ""}).items() if v}

    def take(self, words: Mapping[str, str]) -> None:
        """Show what an address says; what there is not is left out."""
        for word, boxes in self._boxes.items():
            for option in words.get(word, "").split(","):
                if option in boxes:
                    boxes[option].value = True
        self._more.value = words.get("more", "")[:_LONGEST]

    def names(self) -> list[str]:
        """Return the names of the markets chosen, and the words of others."""
        return [*(market.name for market in self._fitting()), *self._words()]

    def in_words(self, said: str) -> list[str]:
        """Return the lines of a refusal in the words of the form, with markets by their names."""
        for one in self._fitting():
            said = said.replace(f"{one.name}: ", f"{market_name(one)}: ")
        return in_labels(said).splitlines()

    def _words(self) -> list[str]:
        return [word.strip() for word in (self._more.value or "").split(",") if word.strip()]

    def _fitting(self) -> list[MarketChoice]:
        return fitting(self._markets, self._ticked())

    def _ticked(self) -> dict[str, list[str]]:
        boxes = self._boxes.items()
        return {word: [option for option, box in of.items() if box.value] for word, of in boxes}

    def _label(self, word: str, option: str) -> str:
        of_it = [market for market in self._markets if getattr(market, word) == option]
        return f"{option} (SYNTHETIC)" if all(m.synthetic for m in of_it) else option

    async def _chosen(self) -> None:
        self._show_summary()
        await self._changed()

    def _show_summary(self) -> None:
        chosen = self._fitting()
        listed = [market_name(market) for market in chosen] + self._words()
        said = "No market yet: tick at least one of each row that go together, or write one."
        if listed:
            said = f"{plural(len(listed), 'market')}: {', '.join(listed)}."
        mismatch = mismatch_of(self._markets, self._ticked())
        self.summary.set_text(f"{said} {mismatch}" if listed else mismatch or said)
        self._mark.set_visibility(any(market.synthetic for market in chosen))
