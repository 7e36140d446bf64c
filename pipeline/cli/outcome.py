"""How each job of a multirun ended, in its own folder, where whoever began it can read it.

Hydra tells its caller of the first job that failed and of no other, and a launcher may have run
them in processes that are gone. A job says that it began before it does anything: one whose file
still says so at the end was killed.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

FILE = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """A job's end: ``status`` is its exit status, None until it ends; ``error`` a sentence.

    ``market`` is the choice of that name, empty where a command has none; ``overrides`` are the
    words that Hydra gave the job.
    """

    job: int
    market: str
    overrides: tuple[str, ...]
    status: int | None = None
    error: str | None = None
    seconds: float | None = None


#: A job and its folder.
Ended = tuple[Outcome, Path]


class Began(Callback):
    """Where the jobs of this process's multirun leave their folders; Hydra keeps it to itself."""

    folder: ClassVar[Path | None] = None

    @classmethod
    def forget(cls) -> None:
        """Forget the multirun before this one, of the same process."""
        cls.folder = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the folder, cleared of what an earlier multirun left in it."""
        Began.folder = Path(config.hydra.sweep.dir).absolute()
        for old in Began.folder.glob(f"**/{FILE}"):
            old.unlink()


class Recorder:
    """Writes the outcome of the running job: that it began, then how it ended."""

    def __init__(self) -> None:
        hydra = HydraConfig.get()
        self._path = Path(hydra.runtime.output_dir) / FILE
        self._job = hydra.job.num if hydra.mode == RunMode.MULTIRUN else 0
        self._market = hydra.runtime.choices.get("market", "")
        self._overrides = tuple(hydra.overrides.task)
        self._start = time.monotonic()
        self._write(None, None, None)

    def end(self, status: int, error: str | None) -> None:
        """Write how the job ended."""
        self._write(status, error, time.monotonic() - self._start)

    def _write(self, status: int | None, error: str | None, seconds: float | None) -> None:
        told = Outcome(self._job, self._market, self._overrides, status, error, seconds)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(asdict(told)), "utf-8")
        part.replace(self._path)


def gathered(folder: Path) -> list[Ended]:
    """Read the outcomes below a multirun's folder with the folder of each job, by job."""
    found = []
    for path in folder.glob(f"**/{FILE}"):
        told = json.loads(path.read_text("utf-8"))
        outcome = Outcome(**told | {"overrides": tuple(told["overrides"])})
        found.append((outcome, path.parent))
    return sorted(found, key=lambda one: one[0].job)
