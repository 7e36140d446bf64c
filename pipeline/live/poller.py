"""Ask exchanges for candles, each in a thread of its own: one that hangs delays no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from gpu_engine import DAY_MS
from pipeline.errors import UserError
from pipeline.live.feed import Feed, FeedKey, Revision

#: Exchanges that are asked at the same time.
EXCHANGES = 8


@dataclass(frozen=True)
class Answer:
    """What asking for a market came to: ``came`` tells that a candle is new.

    ``revisions`` are those of the last two days, None where nobody asked for them: that is done
    with the first candle of every day.
    """

    key: FeedKey
    came: bool = False
    problem: str | None = None
    revisions: tuple[Revision, ...] | None = None


class Inquiry:
    """Asks for what is due, and hands the answers over as they come."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(EXCHANGES, thread_name_prefix="exchange")
        self._answers: SimpleQueue[Answer | str] = SimpleQueue()
        self._busy: set[str] = set()
        self._looked: dict[FeedKey, int] = {}

    def ask(self, feeds: Mapping[FeedKey, Feed], now: int) -> None:
        """Ask every exchange that answers no earlier question for the feeds that are due."""
        by_exchange: dict[str, list[tuple[FeedKey, Feed]]] = {}
        for key, feed in feeds.items():
            if feed.due_ms <= now and feed.market.exchange.name not in self._busy:
                by_exchange.setdefault(feed.market.exchange.name, []).append((key, feed))
        for exchange, due in by_exchange.items():
            self._busy.add(exchange)
            self._pool.submit(self._ask_all, exchange, due, now)

    def answers(self, seconds: float) -> Iterator[Answer]:
        """Yield the answers that are there; wait so long for the first."""
        while True:
            try:
                answer = self._answers.get(timeout=max(seconds, 0.001))
            except Empty:
                return
            seconds = 0.0
            if isinstance(answer, str):
                self._busy.discard(answer)
            else:
                yield answer

    @property
    def is_idle(self) -> bool:
        """Whether no exchange is being asked."""
        return not self._busy

    def close(self) -> None:
        """Ask for nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask_all(self, exchange: str, due: list[tuple[FeedKey, Feed]], now: int) -> None:
        try:
            for key, feed in due:
                self._answers.put(_advance(key, feed, now))
            for key, feed in due:
                day = int(feed.candles.timestamp[-1]) // DAY_MS if feed.is_loaded else None
                if day is not None and self._looked.get(key) != day:
                    self._looked[key] = day
                    self._answers.put(_revisions(key, feed, day))
        finally:
            self._answers.put(exchange)


def _advance(key: FeedKey, feed: Feed, now: int) -> Answer:
    try:
        return Answer(key, came=feed.advance(now))
    except UserError as error:
        return Answer(key, problem=str(error).rstrip("."))
    except Exception as error:  # a fault of one market stops no other
        return Answer(key, problem=f"{type(error).__name__}: {error}")


def _revisions(key: FeedKey, feed: Feed, day: int) -> Answer:
    try:
        return Answer(key, revisions=tuple(feed.revisions((day - 1) * DAY_MS)))
    except UserError as error:
        return Answer(key, problem=f"revisions are not known: {error}".rstrip("."), revisions=())
    except Exception as error:
        return Answer(key, problem=f"{type(error).__name__}: {error}", revisions=())
