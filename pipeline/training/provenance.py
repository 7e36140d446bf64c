"""Say where a result comes from: hashes of code, configuration and candles, and the machine."""

import hashlib
import json
import platform
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gpu_engine
import pipeline
from pipeline import __version__, strategies
from pipeline.config import FileData, StrategyConfig, TrainConfig
from pipeline.errors import UserError
from pipeline.executors.share import allowed_cores
from pipeline.market_data.sources import MarketCandles
from pipeline.strategies.registry import source_files
from pipeline.training import rules

#: Packages whose version may change a number.
PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "optuna", "cupy-cuda12x", "cupy-cuda13x")

#: Files and folders of `pipeline` between candles and stage: their code may change a stage.
MEASURED = (
    "market_data",
    "search",
    "training/candles.py",
    "training/run.py",
    "validation",
)
#: Of these, what turns figures into a stage.
GATES = "validation/stages.py"

#: Parts of the configuration that say where and how, not what is computed.
WHEREABOUTS: dict[str, Any] = {
    **dict.fromkeys(("storage", "executor", "backend", "strategy_path"), True),
    "validation": {"memory_gb"},
    "data": {"proxy", "ca"},
}


def provenance(
    config: TrainConfig, market: MarketCandles, backend: str, assumed: Sequence[str] = ()
) -> dict[str, Any]:
    """Collect what it takes to compute a result again. Times are UTC, ISO 8601.

    ``assumed`` are the sentences of `pipeline.training.assumptions`.
    """
    candles = market.candles
    return {
        "model_version": __version__,
        "engine_hash": engine_hash(config.strategy),
        "rules_version": rules.VERSION,
        "runtime_env": runtime_env(),
        "data_source": market.quality.source,
        "data_hash": candles.sha256,
        "config_hash": config_hash(config),
        "seed": config.seed,
        "backend": backend,
        "first_candle": _iso(int(candles.timestamp[0])),
        "last_candle": _iso(int(candles.timestamp[-1])),
        "filled_candles": int(candles.filled.sum()),
        "synthetic": market.synthetic,
        "quality": market.quality.to_dict(),
        "market": None if market.facts is None else asdict(market.facts),
        "assumed": list(assumed),
        **({"funding": market.funding.to_dict()} if market.funding else {}),
    }


def config_hash(config: TrainConfig) -> str:
    """SHA-256 of everything in the configuration that decides what is computed."""
    values = config.model_dump(mode="json", exclude=WHEREABOUTS)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def fingerprint(config: TrainConfig, gates: bool = True) -> str:
    """SHA-256 of all that decides a stage: configuration, content of its candles' file, code.

    Parameters
    ----------
    config : TrainConfig
    gates : bool
        Whether the code of the gates counts. Calibration keeps figures and judges them anew when it
        reads them: to it their code is all the same.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    values = config.model_dump(mode="json", exclude=WHEREABOUTS)
    if isinstance(config.data, FileData):
        values["data"]["path"] = _file_hash(config.data.path)
    text = json.dumps(values, sort_keys=True) + _measured_hash(
        config.strategy.name, config.strategy.text, gates
    )
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _file_hash(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--candles {path} cannot be read: {error.strerror}.") from None


def engine_hash(strategy: StrategyConfig | None = None) -> str:
    """SHA-256 of the source of the engine and of one strategy; without one of all built-in ones.

    What belongs to other strategies does not count: to edit one leaves the others as they were.
    """
    if strategy is None:
        return engine_hash_of(None, None)
    return engine_hash_of(strategy.name, strategy.text)


@cache
def engine_hash_of(word: str | None, text: str | None) -> str:
    """Return the same of a strategy by its word, and of an own one by the text of its file."""
    own = [Path(strategies.__path__[0])] if word is None else source_files(word, text)
    source = _source_hash(Path(gpu_engine.__path__[0]), *own)
    return source if text is None else hashlib.sha256((source + text).encode()).hexdigest()


@cache
def _measured_hash(word: str, text: str | None, gates: bool) -> str:
    """SHA-256 of the code between candles and stage; an own file is in its configuration."""
    package = Path(pipeline.__path__[0])
    measured = (package / name for name in MEASURED)
    places = (Path(gpu_engine.__path__[0]), *measured, *source_files(word, text))
    return _source_hash(*places, without=None if gates else package / GATES)


def _source_hash(*places: Path, without: Path | None = None) -> str:
    """SHA-256 of the names and contents of all source files at or below some places."""
    digest = hashlib.sha256()
    for place in places:
        files = [place] if place.is_file() else place.rglob("*")
        sources = {f for f in files if f.suffix in (".py", ".cu", ".cuh")} - {without}
        for path in sorted(sources):
            digest.update(path.relative_to(place.parent).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def runtime_env() -> dict[str, str]:
    """Return the versions of Python, the platform and the installed packages that compute."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def describe() -> dict[str, Any]:
    """Return processor, cores that this process may use, and versions; None if not installed."""
    versions = runtime_env()
    return {
        "cpu": _cpu_model(),
        "cores": allowed_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: versions.get(name) for name in ("python", "numpy", "numba", "scipy", "optuna")},
    }


def peak_memory() -> int:
    """Most resident memory that this process has held at once, bytes.

    Linux counts into ``ru_maxrss`` what the parent held when it started this process; the
    process's own high-water mark stands in ``/proc``.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _iso(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat()
