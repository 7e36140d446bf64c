"""Show the form that chooses what is trained, estimates what it takes and starts it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui
from pydantic import BaseModel, ValidationError

from pipeline.config import OptimizerConfig, TrainConfig, ValidationConfig, meanings
from pipeline.errors import UserError
from pipeline.web.service import composing, requests
from pipeline.web.service.answers import Choices, StrategyChoice
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.estimate import Estimate, is_worth_it
from pipeline.web.studio.widgets.form import Fields, Grids, Markets, MistakeError, mark

#: Seconds without a change before an estimate is asked for.
PAUSE = 0.4
#: Begins the name of a strategy's parameter in the address.
_PARAMETER = "p."
#: What else a request says, with controls of its own.
_REST = ("space", "objective", "selection", "min_trades", "seed")
_ELSEWHERE = frozenset(requests.TrainingRequest.model_fields) - frozenset(_REST)


async def training_page(service: Service, request: Request) -> None:
    """Show the form as an address says; what that does not say, or says wrong, is as always."""
    choices = await frame.ask(composing.choices)
    words = dict(request.query_params)
    if words.get("strategy") not in choices.strategies:
        words["strategy"] = choices.strategies[0]
    try:
        strategy = await frame.ask(composing.strategy_choice, words["strategy"])
    except UserError:  # its file is broken since
        strategy = await frame.ask(composing.strategy_choice, choices.strategies[0])
    with frame.page("Train", "/", notice=service.read_only):
        frame.follow_trouble(service.queue.trouble)
        strategies = [one for one in words.get("strategies", "").split(",") if one.isidentifier()]
        frame.part("train.jinja", "left_out", words.get("lacks"), strategies)
        with ui.element("div").classes("beside"):
            TrainingForm(service, choices, strategy).take(words)


class TrainingForm:
    """The form of a `TrainingRequest`, and the estimate beside it."""

    def __init__(self, service: Service, choices: Choices, default: StrategyChoice) -> None:
        self._service = service
        self._request_count, self._turn = 0, asyncio.Lock()
        self._address: dict[str, str] = {}
        self._left_out: dict[str, str] = {}
        with ui.element("form").props('onsubmit="return false"').classes("form"):
            with _part("Strategy"):
                self._strategy = ui.select(
                    choices.strategies,
                    label="strategy",
                    value=default.word,
                    on_change=self._choose_strategy,
                ).props("outlined")
                self._broken = frame.sentence("", "wrong").props("role=alert")
                with ui.expansion("Its parameters").classes("more") as self._parameters:
                    self._grids: Grids | None = Grids(default.parameters, self.changed)
            with _part("Markets"):
                self._markets = Markets(choices.markets, self.changed)
            with _part("Method"):
                self._method = Choice(
                    "method",
                    {
                        "grid": requests.Grid,
                        "random": requests.Random,
                        "bayesian": requests.Bayesian,
                    },
                    meanings(OptimizerConfig),
                    self.changed,
                )
            with _part("Windows"):
                self._validation = Choice(
                    "validation",
                    {
                        "walk_forward": requests.WalkForward,
                        "rolling": requests.Rolling,
                        "train_test_split": requests.TrainTestSplit,
                    },
                    meanings(ValidationConfig),
                    self.changed,
                )
            with _part("History"):
                newest = (
                    "The newest days or years (of invented candles the first), or from and up to."
                )
                frame.sentence(f"{newest} Empty: a year.", "soft")
                with ui.element("div").classes("fields"):
                    self._history = Fields(requests.History, self.changed)
                with ui.expansion("Limits of the candles").classes("more"):
                    frame.sentence(
                        "Beyond them candles are refused. Empty: the exchange's.", "soft"
                    )
                    with ui.element("div").classes("fields"):
                        self._quality = Fields(requests.Quality, self.changed)
            with _part("Costs and risk"):
                frame.sentence("The exchange's fees, both sides, no leverage.", "soft")
                with ui.expansion("Others").classes("more"), ui.element("div").classes("fields"):
                    self._costs = Fields(requests.TradeCosts, self.changed)
                    self._risk = Fields(requests.Risk, self.changed)
            with _part("Search"):
                with ui.element("div").classes("fields"):
                    self._rest = Fields(requests.TrainingRequest, self.changed, without=_ELSEWHERE)
                keys = TrainConfig.model_fields
                meaning = (keys[name].description or "" for name in ("space", "selection"))
                frame.sentence("; ".join(meaning) + ".", "soft")
        with ui.element("aside").props('aria-label="Estimate"'):
            with ui.element("div").classes("start"):
                brief = frame.sentence("").props("role=status")
                self._start = ui.button("Start training", color=None, on_click=self.start)
                self._start.classes("primary")
            self._estimate = Estimate(brief)
        self._start.disable()

    def _fields(self) -> tuple[Fields, ...]:
        return self._history, self._quality, self._costs, self._risk, self._rest

    def words(self) -> dict[str, str]:
        """Return what is not as the form begins, as its address has it."""
        words = self._left_out | self._markets.words()
        if self._strategy.value != self._strategy.options[0]:
            words["strategy"] = self._strategy.value
        for choice in (self._method, self._validation):
            words |= choice.words()
        for fields in self._fields():
            words |= fields.words()
        lines = {} if self._grids is None else self._grids.words()
        return words | {f"{_PARAMETER}{name}": line for name, line in lines.items()}

    def take(self, words: Mapping[str, str]) -> None:
        """Show what an address says."""
        for choice in (self._method, self._validation):
            choice.take(words)
        for fields in self._fields():
            fields.take(words)
        if self._grids is not None:
            self._grids.take_space(self._rest.values()["space"])
            lines = {n: word for n, word in words.items() if n.startswith(_PARAMETER)}
            self._grids.take({n.removeprefix(_PARAMETER): word for n, word in lines.items()})
        self._markets.take(words)
        self._left_out = {name: words[name] for name in ("lacks", "strategies") if name in words}
        self._address = self.words()

    def request(self) -> requests.TrainingRequest:
        """Return what the form says.

        Raises
        ------
        MistakeError
            It names all that is wrong with single parts of the form.
        ValueError
            Where the parts do not go together (`pydantic.ValidationError` is one).
        """
        names, wrong, found = self._markets.names(), list[str](), dict[str, Any]()
        if not names:
            wrong.append(self._markets.summary.text)
        parts: dict[str, Callable[[], Any]] = {
            "optimizer": self._method.request,
            "validation": self._validation.request,
            "history": self._history.request,
            "quality": self._quality.request,
            "costs": self._costs.request,
            "risk": self._risk.request,
            "rest": lambda: self._rest.request(markets=["demo"]),
            "grids": dict if self._grids is None else self._grids.values,
        }
        for name, make in parts.items():
            try:
                found[name] = make()
            except MistakeError as error:
                wrong += error.sentences
        if wrong:
            raise MistakeError(wrong)
        del found["rest"]  # it was read to be told what is wrong with it
        return requests.TrainingRequest(
            strategy=self._strategy.value,
            markets=names,
            **found.pop("grids"),
            **found,
            **self._rest.values(),
        )

    async def _choose_strategy(self) -> None:
        """Show the parameters of the strategy that was chosen, or what is wrong with its file."""
        word = self._strategy.value
        reason, choice = "", None
        try:
            choice = await frame.ask(composing.strategy_choice, word)
        except UserError as error:
            reason = str(error)
        if word != self._strategy.value:
            return
        self._broken.set_text(reason)
        self._parameters.set_visibility(choice is not None)
        self._parameters.clear()
        with self._parameters:
            self._grids = None if choice is None else Grids(choice.parameters, self.changed)
        await self.changed()

    async def changed(self) -> None:
        """Estimate again, once nothing has changed for a moment."""
        self._request_count += 1
        request = self._request_count
        self._keep_address()
        if self._grids is not None:
            self._grids.take_space(self._rest.values()["space"])
        self._start.disable()
        self._estimate.wait()
        await asyncio.sleep(PAUSE)
        async with self._turn:  # one at a time: what was overtaken is not computed at all
            if request != self._request_count:
                return
            answer, reasons = await self._answer()
        if request != self._request_count:
            return
        if answer is None:
            self._estimate.refuse(reasons)
        else:
            self._estimate.show(answer)
            startable = any(is_worth_it(market) for market in answer.markets)
            self._start.set_enabled(startable and self._service.read_only is None)

    def _keep_address(self) -> None:
        """Have the address say what the form says: to load it again, to go back, to share it."""
        words = self.words()
        if words != self._address:
            self._address = words
            query = urlencode(words, safe=",/:")
            ui.navigate.history.replace(f"/?{query}" if query else "/")

    async def _answer(self) -> tuple[Any, list[str]]:
        try:
            return await frame.ask(self._service.estimate, self.request()), []
        except (UserError, ValueError) as error:
            return None, self._refusal(error)

    def _refusal(self, error: Exception) -> list[str]:
        if isinstance(error, MistakeError):
            return error.sentences
        if isinstance(error, ValidationError):
            return mark(error, {}, {}) if self._grids is None else self._grids.mark(error)
        return self._markets.in_words(str(error))

    async def start(self) -> None:
        """Queue a job, or a sweep of several markets, and go where it is seen."""
        self._start.disable()  # a second click would train everything twice
        try:
            started = await frame.ask(self._service.start_training, self.request())
        except (UserError, ValueError) as error:
            self._estimate.refuse(self._refusal(error))
            return
        ui.navigate.to(f"/sweeps/{started.sweep_id}" if started.sweep_id else "/jobs")


class Choice:
    """One of several models: a control that names it, a sentence about it, its own fields.

    ``models``, and the ``sentences`` on when to take which, are by the word of their ``method``.
    """

    def __init__(
        self, name: str, models: dict[str, type[BaseModel]], sentences: dict[str, str], changed: Any
    ) -> None:
        self._models, self._sentences = models, sentences
        self._name, self._changed = name, changed
        self._chosen = ui.radio(
            {key: key.replace("_", " ") for key in models},
            value=next(iter(models)),
            on_change=self._choose,
        ).props(f'inline aria-label="{name}"')
        self._said = frame.sentence("", "soft")
        self._panels: dict[str, ui.element] = {}
        self._fields: dict[str, Fields] = {}
        for key, model in models.items():
            with ui.element("div").classes("fields") as self._panels[key]:
                self._fields[key] = Fields(model, changed, without=("method",))
        self._tell()

    @property
    def fields(self) -> Fields:
        """The fields of what is chosen."""
        return self._fields[self._chosen.value]

    def words(self) -> dict[str, str]:
        """Return the choice and its fields, where they are not as they began."""
        key = self._chosen.value
        chosen = {} if key == next(iter(self._models)) else {self._name: key}
        return chosen | self._fields[key].words()

    def take(self, words: Mapping[str, str]) -> None:
        """Show what an address says."""
        key = words.get(self._name, "")
        if key in self._models:
            self._chosen.value = key
        self._fields[self._chosen.value].take(words)

    def request(self) -> Any:
        """Return the chosen model with what its fields hold."""
        key = self._chosen.value
        return self._fields[key].request(method=key)

    async def _choose(self) -> None:
        self._tell()
        await self._changed()

    def _tell(self) -> None:
        self._said.set_text(frame.in_labels(self._sentences[self._chosen.value]))
        for key, panel in self._panels.items():
            panel.set_visibility(key == self._chosen.value)


def _part(title: str) -> ui.element:
    """Open a part of the form under a heading."""
    section = ui.element("section").classes("card")
    with section:
        frame.text("h2", title)
    return section
