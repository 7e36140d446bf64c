"""Run a command under Hydra: configuration in, exit status out.

Exit status: 0 done, 1 failed (with a traceback; with a sentence where a GPU's memory is too small),
2 the user's mistake (with a sentence), 130 cancelled by Ctrl-C, 143 ended by SIGTERM. In a multirun
(``-m``) a job that fails does not stop the others: each leaves its outcome
(`pipeline.cli.outcome`), and the exit status tells.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gpu_engine.device import OutOfDeviceMemoryError
from pipeline.cli.outcome import Began, Ended, Recorder, gathered
from pipeline.config import CONFIG_DIR, Section, resolved, validated
from pipeline.config.refusals import MISTAKES, explain_composition
from pipeline.errors import UserError

DONE, FAILED, MISTAKE, CANCELLED, TERMINATED = 0, 1, 2, 130, 143

Schema = TypeVar("Schema", bound=Section)


class _JobError(Exception):
    """All that a multirun's launcher, perhaps in another process, needs to know of a failure."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: it cleans up and keeps what is stored."""


def run(
    main: Callable[[Schema], None],
    schema: type[Schema],
    config_name: str,
    finish: Callable[[Sequence[Ended]], None] | None = None,
) -> NoReturn:
    """Compose the configuration from the command line, check it, call ``main``, and exit.

    Parameters
    ----------
    main : callable
        The command. It raises `UserError` for what only the user can mend.
    schema : type of Section
        What the configuration must be.
    config_name : str
        The file in `conf` to start from, without ``.yaml``. Where ``finish`` is given, it has
        `pipeline.cli.outcome.Began` among Hydra's callbacks.
    finish : callable or None
        Called with the jobs of a multirun after the last, whatever failed; the exit status is then
        1 if anything did.
    """
    # Hydra would print its own exceptions and exit with 1; this lets them through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    Began.forget()
    statuses: list[int] = []

    @functools.wraps(main)  # Hydra names the job after the module of the wrapped function
    def job(composed: DictConfig) -> None:
        recorder = Recorder()
        status, error = _status(main, schema, composed)
        recorder.end(status, error)
        if status and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise _JobError(status)
        statuses.append(status)

    application = hydra.main(
        config_path=str(CONFIG_DIR), config_name=config_name, version_base="1.3"
    )(job)
    try:
        with _sigterm_interrupts():
            application()
    except _JobError as failure:
        statuses.append(failure.status)
    except KeyboardInterrupt as interrupt:
        statuses.append(_say_stopped(interrupt))
    except BrokenPipeError:  # `--help | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (*MISTAKES, OSError) as error:
        _say(explain_composition(error) + _unswept(error))
        statuses.append(MISTAKE)
    except Exception as error:  # a launcher whose worker was killed raises what it likes
        _say(f"A process that ran jobs ended early: {type(error).__name__}: {error}")
        statuses.append(FAILED)
    status = max(statuses, default=DONE)
    if finish is not None and Began.folder is not None and status < CANCELLED:
        status = _finished(finish, gathered(Began.folder), status)
    sys.exit(status)


def run_plain(main: Callable[[], int]) -> NoReturn:
    """Run a command that composes no run of its own, say what went wrong, and exit.

    Parameters
    ----------
    main : callable
        Returns the exit status; raises `UserError` for what only the user can mend.
    """
    try:
        with _sigterm_interrupts():
            status = main()
    except (UserError, OutOfDeviceMemoryError) as error:
        status, sentence = _explained(error)
        _say(sentence)
    except KeyboardInterrupt as interrupt:
        status = _say_stopped(interrupt)
    sys.exit(status)


def run_directory() -> Path:
    """Return the folder of the running job, made by Hydra: for what a person may want to read."""
    return Path(HydraConfig.get().runtime.output_dir)


def shown(path: Path) -> Path:
    """Shorten a path that lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _status(
    main: Callable[[Schema], None], schema: type[Schema], composed: DictConfig
) -> tuple[int, str | None]:
    """Run one job and say what went wrong; return its exit status and what was said."""
    try:
        main(validated(resolved(composed), schema))
    except (UserError, OutOfDeviceMemoryError) as error:
        status, sentence = _explained(error)
    except OmegaConfBaseException as error:
        status, sentence = MISTAKE, explain_composition(error)
    except Exception as error:
        _say(f"{_job_name()}failed")
        traceback.print_exc()
        return FAILED, f"{type(error).__name__}: {error}"
    else:
        return DONE, None
    _say(f"{_job_name()}{sentence}")
    return status, sentence


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM, what `kill`, a container and a service manager send, interrupt like Ctrl-C."""

    def interrupt(*_: object) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_stopped(interrupt: KeyboardInterrupt) -> int:
    """Say that somebody stopped the command; return the exit status."""
    if isinstance(interrupt, _Terminated):
        _say("terminated; what was stored is kept")
        return TERMINATED
    _say("cancelled")
    return CANCELLED


def _explained(error: UserError | OutOfDeviceMemoryError) -> tuple[int, str]:
    """Return the exit status and the sentence of what stops a command without a traceback."""
    if isinstance(error, UserError):
        return error.status, str(error)
    return FAILED, f"{error}. Use a GPU with more memory, or backend=numba."


def _finished(finish: Callable[[Sequence[Ended]], None], jobs: Sequence[Ended], status: int) -> int:
    """Finish a multirun; return its exit status, which is the refusal's where no job began."""
    if not jobs:
        return status
    try:
        finish(jobs)
    except UserError as error:
        _say(str(error))
        return FAILED
    failed = status != DONE or any(one.status != DONE for one, _ in jobs)
    return FAILED if failed else DONE


def _unswept(error: Exception) -> str:
    """Say what to add where Hydra composes a multirun without the choices that are swept."""
    told = any(word.startswith("data=") for word in sys.argv)
    swept = {"-m", "--multirun"} & set(sys.argv) and "data." in str(error) and not told
    hint = " With -m the market is not known yet: say where candles come from, as in data=ccxt."
    return hint if swept else ""


def _job_name() -> str:
    """Tell the jobs of a multirun apart; a single run needs no name."""
    job = HydraConfig.get()
    if job.mode != RunMode.MULTIRUN:
        return ""
    return f"#{job.job.num} {' '.join(job.overrides.task)}: "


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
