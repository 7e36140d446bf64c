"""Run a command: configuration in, exit status out.

Exit status: 0 done, 1 failed (with a traceback; with a sentence where a disk is full or memory
is too small), 2 the user's mistake (with a sentence), 130 cancelled by Ctrl-C, 143 ended by
SIGTERM or SIGHUP. In a multirun (``-m``) a job that fails does not stop the others; the exit status
tells.

A command checks its configuration before it imports what works: help and refusals answer at once.
Hydra is imported where it composes for the same reason.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pipeline.cli.arguments import look_in_own_folder
from pipeline.cli.console import PrintableFormatter, lasting_output, say
from pipeline.cli.early import CANCELLED, SENTENCES, SIGNALS, TERMINATED, leave_with, status_of
from pipeline.cli.help import explain_keys
from pipeline.config import CONFIG_DIR, Section, check
from pipeline.errors import UserError, full_disk

if TYPE_CHECKING:
    from omegaconf import DictConfig

DONE, FAILED, MISTAKE = 0, 1, 2

#: Signals after which a command ends without cleaning up.
AT_ONCE = 3

FOOTER = (
    "A key has the value shown unless you give another; ??? must be given."
    " -m runs every combination of\ncomma-separated values. Hydra's own help: --hydra-help"
)

Schema = TypeVar("Schema", bound=Section)


@dataclass(frozen=True)
class Outcome:
    """How a job of a multirun ended: its exit status, and a sentence where something went wrong.

    ``market`` is the choice of that name, empty where a command has none; ``overrides`` are the
    words that Hydra gave the job, ``folder`` is where it left its files.
    """

    market: str
    overrides: tuple[str, ...]
    folder: Path
    status: int
    error: str | None
    seconds: float


class _Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does: it keeps what is stored."""


def run(
    main: Callable[[Schema], None],
    schema: type[Schema],
    config_name: str,
    usage: str,
    finish: Callable[[Sequence[Outcome]], None] | None = None,
) -> NoReturn:
    """Compose the configuration from the command line, check it, call ``main``, and exit.

    Parameters
    ----------
    main : callable
        The command, whose module's docstring is its help. It raises `UserError` for what only the
        user can mend.
    schema : type of Section
        What the configuration must be.
    config_name : str
        The file in `conf` to start from, without ``.yaml``.
    usage : str
        The command line, for the help.
    finish : callable or None
        Called with the jobs of a multirun after the last, whatever failed; the exit status is then
        1 if anything did.
    """
    with lasting_output() as ended:
        try:
            look_in_own_folder(_own_folder(sys.argv[1:]))
            if {"-h", "--help"} & set(sys.argv[1:]):
                _print_help(main, schema, config_name, usage)
                status = ended(DONE)
            else:
                status = ended(_run_hydra(main, schema, config_name, finish))
        except UserError as error:  # of the strategy whose parameters help was to show
            say(str(error))
            status = error.status
        except KeyboardInterrupt as interrupt:
            status = _say_stopped(interrupt)
    sys.exit(status)


def _own_folder(arguments: Sequence[str]) -> str | None:
    """Return what ``--config-dir`` names, as Hydra reads it; None where it is not given."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config-dir", "-cd")
    try:
        options, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:  # without a folder: Hydra's parser says so
        return None
    folder: str | None = options.config_dir
    return folder


def _print_help(
    main: Callable[[Schema], None], schema: type[Schema], config_name: str, usage: str
) -> None:
    """Print what a command does and its keys."""
    description = (sys.modules[main.__module__].__doc__ or "").strip()
    if any("strategy_path=" in word for word in sys.argv):
        from pipeline.config.strategy_choice import search_path_of

        search_path_of(sys.argv[1:])
    keys = explain_keys(schema, config_name, sys.argv[1:])
    print(f"Usage: {usage}", description, keys, FOOTER, sep="\n\n", flush=True)


def _run_hydra(
    main: Callable[[Schema], None],
    schema: type[Schema],
    config_name: str,
    finish: Callable[[Sequence[Outcome]], None] | None,
) -> int:
    """Let Hydra compose and call ``main``, once or once a job; return the exit status."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from pipeline.config import settings
    from pipeline.config.refusals import MISTAKES, explain_composition
    from pipeline.config.strategy_choice import register, search_path_of

    logging.raiseExceptions = False  # a log that cannot be written costs the log, not the command
    # Hydra would print its own exceptions and exit with 1; this lets them through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _compose_once()
    outcomes: list[Outcome] = []
    multirun = False

    @functools.wraps(main)  # Hydra names the job after the module of the wrapped function
    def job(composed: DictConfig) -> None:
        nonlocal multirun
        job, start = HydraConfig.get(), time.monotonic()
        multirun = job.mode == RunMode.MULTIRUN
        name = f"#{job.job.num} {' '.join(job.overrides.task)}: " if multirun else ""
        status, error = _status(main, schema, composed, name)
        outcomes.append(
            Outcome(
                market=job.runtime.choices.get("market", ""),
                overrides=tuple(job.overrides.task),
                folder=Path(job.runtime.output_dir),
                status=status,
                error=error,
                seconds=time.monotonic() - start,
            )
        )

    application = hydra.main(
        config_path=str(CONFIG_DIR), config_name=config_name, version_base="1.3"
    )(job)
    register()
    try:
        sys.argv[1:] = settings.quoted(sys.argv[1:])
        search_path_of(sys.argv[1:])
        _refuse_options(sys.argv[1:])
        with _signals_interrupt():
            application()
    except UserError as error:  # of a strategy's file, which Hydra asked for
        return _failure(error)[0]
    except (*MISTAKES, OSError) as error:
        if (full := full_disk(error, "the run's folder (hydra.run.dir)")) is not None:
            return _failure(full)[0]
        say(explain_composition(error) + _missing_data_hint(error))
        return MISTAKE
    status = max((outcome.status for outcome in outcomes), default=DONE)
    if finish is None or not multirun:
        return status
    try:
        finish(outcomes)
    except UserError as error:
        say(str(error))
        return FAILED
    return min(status, FAILED)


def _refuse_options(arguments: Sequence[str]) -> None:
    """Say in a sentence what Hydra's own parser would refuse with a page of usage."""
    from hydra._internal.utils import get_args_parser

    def refuse(message: str) -> NoReturn:
        raise UserError(
            f"The command line cannot be read: {message}. Options such as --config-dir FOLDER stand"
            " in front, words KEY=VALUE after them; --help lists the keys."
        )

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args(arguments)


def _compose_once() -> None:
    """Let Hydra take its mode from ``-m``: it would compose everything twice to learn it.

    A mode that a key (``hydra.mode``) or files of the user may set is looked for as Hydra does. So
    it is by a Hydra that has no such method.
    """
    from hydra._internal.hydra import Hydra

    composed_mode = getattr(Hydra, "get_mode", None)
    if composed_mode is None:
        return

    def get_mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> Any:
        words = [word.lstrip("+") for word in (*overrides, *sys.argv[1:])]
        named = any(w.startswith(("hydra.mode", "--config", "-cd", "-cn", "-cp")) for w in words)
        return composed_mode(hydra, config_name, overrides) if named else None

    Hydra.get_mode = get_mode  # type: ignore[method-assign, assignment]


def run_plain(main: Callable[[], int]) -> NoReturn:
    """Run a command that composes no run of its own, say what went wrong, and exit.

    Parameters
    ----------
    main : callable
        Returns the exit status; raises `UserError` for what only the user can mend.
    """
    if logging.lastResort is not None:  # what prints a log that nobody set up
        logging.lastResort.setFormatter(PrintableFormatter())
    with lasting_output() as ended:
        try:
            with _signals_interrupt():
                status = ended(main())
        except SystemExit as end:  # of a parser that has printed its help, or refused a word
            status = ended(end.code if isinstance(end.code, int) else DONE)
        except Exception as error:
            status, _ = _failure(error)
        except KeyboardInterrupt as interrupt:
            status = _say_stopped(interrupt)
    sys.exit(status)


def run_directory() -> Path:
    """Return the folder of the running job, made by Hydra: for what a person may want to read."""
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().runtime.output_dir)


def relative_path(path: Path) -> Path:
    """Shorten a path that lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _status(
    main: Callable[[Schema], None], schema: type[Schema], composed: DictConfig, name: str
) -> tuple[int, str | None]:
    """Run the job called ``name`` and say what went wrong; return its exit status and the error."""
    try:
        main(check(composed, schema))
    except Exception as error:
        return _failure(error, name)
    return DONE, None


def _failure(error: Exception, name: str = "") -> tuple[int, str]:
    """Say what stopped the job called ``name``; return the exit status and the error.

    A traceback follows where it is neither the user's mistake nor a limit of the machine.
    """
    error = full_disk(error, getattr(error, "filename", None) or Path.cwd()) or error
    if isinstance(error, UserError):
        say(f"{name}{error}")
        return error.status, str(error)
    if isinstance(error, MemoryError):
        from gpu_engine.device import OutOfDeviceMemoryError

        if isinstance(error, OutOfDeviceMemoryError):
            sentence = f"{error}. Use a GPU with more memory, or backend=numba."
            say(f"{name}{sentence}")
            return FAILED, sentence
        sentence = (
            f"The memory of this machine does not hold what this needs: {error}. Give fewer values,"
            " a coarser range or a shorter history."
        )
        say(f"{name}{sentence}")
        return FAILED, sentence
    say(f"{name}failed\n{''.join(traceback.format_exception(error)).rstrip()}")
    return FAILED, f"{type(error).__name__}: {error}"


def _missing_data_hint(error: Exception) -> str:
    """Say what to add where Hydra composes a multirun without the choices that are swept."""
    named = any(word.startswith("data=") for word in sys.argv)
    swept = {"-m", "--multirun"} & set(sys.argv) and "data." in str(error) and not named
    hint = " With -m the market is not known yet: say where candles come from, as in data=ccxt."
    return hint if swept else ""


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let what ends a process interrupt like Ctrl-C.

    SIGTERM is what `kill`, a container and a service manager send, SIGHUP what a terminal sends
    that is closed.

    The third signal ends the process at once: an own strategy may catch every exception, and what
    cleans up after the first may be interrupted by the second. The job's lease ends with it.
    """
    signals = 0

    def interrupt(number: int, _: object) -> NoReturn:
        nonlocal signals
        signals += 1
        if signals >= AT_ONCE:
            os._exit(status_of(number))
        raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    before = {
        number: signal.signal(number, interrupt)
        for number in SIGNALS
        if signal.getsignal(number) != signal.SIG_IGN  # as `nohup` and a shell's `&` set it
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_stopped(interrupt: KeyboardInterrupt) -> int:
    """Say that somebody stopped the command; return the exit status."""
    status = TERMINATED if isinstance(interrupt, _Terminated) else CANCELLED
    say(SENTENCES[status])
    leave_with(status)
    return status
