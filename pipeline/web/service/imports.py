"""Import an uploaded file of candles: one at a time, out of a folder that does not outlive it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.config import FetchConfig
from pipeline.errors import ConflictError, UserError
from pipeline.market_data.store.store import check_store
from pipeline.web.service.candle_answers import Difference, ImportAnswer
from pipeline.web.service.candle_process import CandleProcess, Import
from pipeline.web.service.composing import compose_fetch
from pipeline.web.service.requests import ImportQuery

#: Bytes of an uploaded file, where the server's owner says nothing.
UPLOAD_LIMIT = 256 * 1024 * 1024


class Imports:
    """Imports files into the store; ``store`` is its folder."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / ".imports"
        self._process: CandleProcess | None = None

    def check(self, query: ImportQuery) -> FetchConfig:
        """Refuse what cannot be imported, before the file is sent.

        Raises
        ------
        UserError
            When there is no such market, or nothing can be written here.
        """
        config = compose_fetch(
            query.market, str(self._store), timezone=query.timezone, decimal=query.decimal
        )
        check_store(self._store)
        return config

    @contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """Yield where a file of a name may be written; it is removed at the end, whatever happens.

        Raises
        ------
        ConflictError
            When another file is imported at the moment, here or by another server.
        """
        lock = FileLock(self._folder.with_suffix(".lock"), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ConflictError(
                "Another file is being imported: try again when that has ended."
            ) from None
        try:
            self._remove()  # what a killed server left
            folder = self._folder / secrets.token_hex(8)
            folder.mkdir(parents=True)
            yield folder / name
        finally:
            self._remove()
            lock.release()

    def run(self, config: FetchConfig, query: ImportQuery, path: Path) -> ImportAnswer:
        """Read the file, and lay it over the store where that is asked for.

        Raises
        ------
        UserError
            When the file is none of this market's candles, with row and column.
        ConflictError
            When it is to be written, contradicts the store, and nobody said which of them counts.
        """
        config = config.model_copy(update={"import_path": str(path)})
        notes: list[str] = []
        answer: dict[str, Any] = {}
        try:
            self._process = CandleProcess(Import(config, query.write, query.truth))
            for message in self._process.messages():
                if message["kind"] == "note":
                    notes.append(self._shown(message["text"], path))
                else:
                    answer = message
        except UserError as error:
            raise type(error)(self._shown(str(error), path)) from None
        market = config.market
        return ImportAnswer.model_validate(
            answer
            | {
                "id": market.stored_id,
                "file": query.file,
                "first": _moment(answer["first"]),
                "last": _moment(answer["last"]),
                "examples": [
                    Difference(bar=_moment(bar), figure=name, stored=ours, imported=theirs)
                    for bar, name, ours, theirs in answer["examples"]
                ],
                "notes": notes,
            }
        )

    def stop(self) -> None:
        """Have what runs end soon: of what is not being written yet nothing will be."""
        if self._process is not None:
            self._process.stop()

    def _shown(self, text: str, path: Path) -> str:
        """Name the file in a sentence as the user does."""
        return text.replace(f"{path.parent}/", "").replace(str(path.parent), path.name)

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
