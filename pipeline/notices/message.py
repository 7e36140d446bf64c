"""Turn an event into a message that a person and a program can read."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.results.jsonable import jsonable
from pipeline.results.records import utc_now
from pipeline.results.rows.news import News
from pipeline.validation.wording import marked, trainings

#: Kind of the message by which a person tests a receiver.
TEST = "test"

#: How urgent a message is, in the words of apprise.
INFO, SUCCESS, WARNING, FAILURE = "info", "success", "warning", "failure"


@dataclass(frozen=True)
class Message:
    """What a receiver gets; `body` is its JSON (docs/notifications.md explains the fields).

    ``id`` is the same whenever it is sent again.
    """

    id: str
    type: str
    at: datetime
    level: str
    title: str
    text: str
    configuration: str | None = None
    market: str | None = None
    synthetic: bool = False
    facts: dict[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "id": self.id,
            "type": self.type,
            "timestamp": self.at.isoformat(),
            "level": self.level,
            "title": self.title,
            "text": self.text,
            "configuration": self.configuration,
            "market": self.market,
            "synthetic": self.synthetic,
            "data": jsonable(self.facts or {}),
        }


def message_of(news: News) -> Message:
    """Return the message that tells of an event."""
    level, title, text = _WORDS[news.kind](news)
    place = news.market or news.configuration_id
    title = marked(f"{title}: {place}" if place else title, news.synthetic)
    return Message(
        _new_id(),
        news.kind,
        news.at,
        level,
        title,
        text,
        news.configuration_id,
        news.market,
        news.synthetic,
        {"event": news.event} | news.facts,
    )


def trial_message() -> Message:
    """Return a message that only shows that a receiver gets messages."""
    text = "A person asked for this test message. Nothing happened."
    return Message(_new_id(), TEST, utc_now(), INFO, "Test message", text)


def _new_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


#: Urgency, title and text of an event.
Words = tuple[str, str, str]


def _words_of(level: str, title: str) -> Callable[[News], Words]:
    """Say what the source says itself."""
    return lambda news: (level, title, news.text)


def _filled(title: str) -> Callable[[News], Words]:
    """Say what the ledger booked, with the candle of it: it may be caught up from long ago."""

    def words(news: News) -> Words:
        candle = f" Candle of {news.at:%Y-%m-%d %H:%M} UTC." if "candle" in news.facts else ""
        return INFO, title, f"{news.text}{candle}"

    return words


def _stale(news: News) -> Words:
    if news.event == "fresh":
        return SUCCESS, "Candles are fresh again", news.text
    return WARNING, "Candles are stale", news.text


def _check(news: News) -> Words:
    what = "The daily verification" if news.source == "configuration" else "The paper ledger"
    return FAILURE, f"{what} found a difference", news.text


def _moved(news: News) -> Words:
    before, after = news.facts["from_stage"], news.facts["to_stage"]
    level = FAILURE if news.kind == "decay" else INFO
    return level, f"{before} -> {after}", f"{news.configuration_id}: {news.text}"


def _job(news: News) -> Words:
    if news.event == "failed":
        return FAILURE, "Training failed", news.text or "It gave no reason."
    if news.configuration_id is None:
        return INFO, "Training finished", "The search found nothing admissible: nothing was stored."
    stage = marked(str(news.facts["stage"]), news.synthetic)
    return SUCCESS, "Training finished", f"Stored as {news.configuration_id}, stage {stage}."


def _sweep(news: News) -> Words:
    facts, best = news.facts, news.facts["best"]
    count, of = sum(facts["outcomes"].values()), facts["market_count"]
    came = ", ".join(f"{number} {outcome}" for outcome, number in facts["outcomes"].items())
    text = (
        f"Sweep {facts['sweep']} of {facts['strategy']}: {trainings(count, of)}: {came or 'none'}."
    )
    if best is not None:
        by = f" with {best['strategy']}" if count != of else ""
        text += f" Best: {best['market']}{by}, {best['stage']}."
    if news.event == "failed":
        return FAILURE, "Sweep failed", text
    return SUCCESS, "Sweep finished", text


_WORDS: dict[str, Callable[[News], Words]] = {
    "enter": _filled("Entered a position"),
    "leave": _filled("Left a position"),
    "alarm": _words_of(FAILURE, "Live days fell out of the promise"),
    "stale": _stale,
    "check": _check,
    "stage": _moved,
    "decay": _moved,
    "job": _job,
    "sweep": _sweep,
}
