"""Stream the events of jobs to any number of readers, from one look at the database.

A server has one poller. Every 0.25 s it reads what is new of each job that somebody watches and
hands it to all who watch it. Within one job ids ascend in the order of their commits, because every
event is written in the transaction that holds the job's row; across jobs they need not, which is
why each job is asked about by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from pydantic import TypeAdapter
from starlette.responses import StreamingResponse

from pipeline.results.records import ENDED, JobEvent
from pipeline.results.rows.jobs import Jobs

_LOG = logging.getLogger("pipeline.web.api")

#: Seconds between two looks at the database, events of one look, and events held for a reader that
#: does not keep up: it is let go, and comes back with its Last-Event-ID.
POLL_EVERY, PAGE, BACKLOG = 0.25, 500, 5_000
#: Seconds after which a silent stream sends a comment, so that nobody on the way takes it for dead.
HEARTBEAT_EVERY = 15.0
HEARTBEAT = b": still here\n\n"

_JSON = TypeAdapter(JobEvent)


UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Server-sent events; each is a `Message`."""

    media_type = "text/event-stream"


class Message(NamedTuple):
    """An event as it goes over the wire (HTML, 9.2 Server-sent events), written once for all."""

    id: int
    text: bytes

    @classmethod
    def of(cls, event: JobEvent) -> Message:
        """Write an event: its JSON is one line, and its kind one word."""
        text = f"id: {event.id}\nevent: {event.kind}\ndata: {_JSON.dump_json(event).decode()}\n\n"
        return cls(event.id, text.encode())


class _Reader:
    """Messages that wait for one reader; None is the end."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(BACKLOG)
        self.lost = False

    def give(self, event: Message | None) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True


class _Channel:
    """Readers of one job; ``last`` is the newest event they were given, None before the first."""

    def __init__(self) -> None:
        self.readers: set[_Reader] = set()
        self.last: int | None = None

    def publish(self, page: list[JobEvent]) -> None:
        """Give a page to all readers, and the end after the status that ends the job."""
        if not page:
            return
        self.last = page[-1].id
        statuses = [event.payload.get("status") for event in page if event.kind == "status"]
        ended = bool(statuses) and statuses[-1] in ENDED  # one that was restarted since goes on
        messages: list[Message | None] = [Message.of(event) for event in page]
        for message in [*messages, None] if ended else messages:
            for reader in self.readers:
                reader.give(message)


class Poller(ABC):
    """Looks at the database for all readers of a server, while it runs."""

    def __init__(self) -> None:
        self._closed = False
        self._poller: asyncio.Task[None] | None = None
        self._said: str | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll for as long as the server runs."""
        poller = self._poller = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            self.close()
            poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await poller

    @property
    def is_alive(self) -> bool:
        """Whether the one look at the database goes on."""
        return self._poller is not None and not self._poller.done()

    @abstractmethod
    def close(self) -> None:
        """Let all readers go: the server is going down."""

    @abstractmethod
    async def _poll(self) -> None:
        """Look again and again."""

    def _say(self, sentence: str) -> None:
        """Write to the log once what goes wrong again and again; a log that is full is none."""
        if sentence != self._said:
            self._said = sentence
            with contextlib.suppress(Exception):
                _LOG.error(sentence)


class Events(Poller):
    """Hands events of jobs to readers.

    Parameters
    ----------
    jobs : Jobs
        Of the database that holds the events.
    """

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self._jobs = jobs
        self._channels: dict[str, _Channel] = {}

    def close(self) -> None:
        """End every stream: the server is going down."""
        self._closed = True
        for channel in self._channels.values():
            for reader in channel.readers:
                reader.give(None)

    async def follow(self, job_id: str, after: int) -> AsyncIterator[bytes]:
        """Yield the events of a job that follow ``after``, until it has ended.

        Every event once and in order; a reader that comes back goes on where it was, or begins
        again where the job has no such event yet.
        """
        with self._reader(job_id) as (channel, reader):
            # Whoever has ended by now has written all its events: this must be asked first.
            job = await asyncio.to_thread(self._jobs.read, job_id)
            # An id that the job has not reached is of another one, or of a database that is gone.
            newest = await asyncio.to_thread(self._jobs.newest_event_id, job_id)
            ended, last = job.status in ENDED, after if after <= newest else 0
            while page := await self._page(last, job_id):
                yield b"".join(Message.of(event).text for event in page)
                last = page[-1].id
            if ended:
                return
            if channel.last is None:
                channel.last = last
            while not (self._closed or reader.lost):
                try:
                    event = await asyncio.wait_for(reader.queue.get(), HEARTBEAT_EVERY)
                except TimeoutError:
                    yield HEARTBEAT
                    continue
                if event is None:
                    return
                if event.id > last:
                    last = event.id
                    yield event.text

    @contextlib.contextmanager
    def _reader(self, job_id: str) -> Iterator[tuple[_Channel, _Reader]]:
        channel, reader = self._channels.setdefault(job_id, _Channel()), _Reader()
        channel.readers.add(reader)
        try:
            yield channel, reader
        finally:
            channel.readers.discard(reader)
            if not channel.readers and self._channels.get(job_id) is channel:
                del self._channels[job_id]

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_EVERY)
            for job_id, channel in list(self._channels.items()):
                if channel.last is None:
                    continue
                try:
                    channel.publish(await self._page(channel.last, job_id))
                except Exception as error:  # a database that is away for a moment ends no stream
                    self._say(f"Events of jobs cannot be read: {str(error).partition(chr(10))[0]}")
                else:
                    self._said = None

    async def _page(self, after: int, job_id: str) -> list[JobEvent]:
        return await asyncio.to_thread(self._jobs.events, after, job_id, PAGE)
