"""Keep finished markets, one line of JSON each, so that a run of hours can be resumed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.results.jsonable import dumps
from pipeline.studies.calibrate.markets import Market
from pipeline.studies.calibrate.measure import Outcome

FILE_NAME = "markets.jsonl"


class Journal:
    """The file of finished markets in ``folder``, which is made when it is not there.

    Raises
    ------
    UserError
        If the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {folder} cannot be made: {error.strerror}.") from None
        self.path = folder / FILE_NAME

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other calibrations out of the folder, whose lines would be measured twice.

        Raises
        ------
        UserError
            If another one is at work there, or the folder cannot be written to.
        """
        lock = FileLock(self.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"Another calibration is at work in {self.path.parent}: wait for it, or give"
                " another folder as --out."
            ) from None
        except OSError as error:
            raise UserError(
                f"--out {self.path.parent} cannot be written to: {error.strerror}."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def read(self, expected: Callable[[Market], str | None]) -> dict[Market, Outcome]:
        """Return the markets finished so far.

        A last line that was torn by the end of its process is cut off the file.

        Parameters
        ----------
        expected : callable
            The fingerprint that a market has now; None for one that nobody asks about any more,
            which is passed over.

        Raises
        ------
        UserError
            If a line was measured with another fingerprint, or cannot be read.
        """
        finished = {}
        for number, line in enumerate(self._whole_lines(), start=1):
            try:
                outcome = Outcome.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"{self.path}, line {number} is no market: remove the line, or give another"
                    " folder as --out."
                ) from None
            fingerprint = expected(outcome.market)
            if fingerprint is None:
                continue
            if fingerprint != outcome.fingerprint or not outcome.decided:
                raise UserError(
                    f"{self.path}, line {number} was measured with another configuration, other"
                    " candles or another version of the code; the two do not mix. Give another"
                    " folder as --out, or delete that file to begin anew."
                )
            finished[outcome.market] = outcome
        return finished

    def append(self, outcome: Outcome) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(dumps(outcome.to_dict()) + "\n")

    def _whole_lines(self) -> list[bytes]:
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self.path.open("r+b") as file:
                file.truncate(whole)
        return content[:whole].splitlines()
