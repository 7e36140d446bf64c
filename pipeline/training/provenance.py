"""Hash code, configuration and candles, and describe the machine that computed a result."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gpu_engine
import pipeline
from pipeline import __version__, strategies
from pipeline.config import FileData, TrainConfig
from pipeline.errors import UserError
from pipeline.market_data.sources import MarketCandles

#: Packages whose version may change a number.
PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "optuna", "cupy-cuda12x", "cupy-cuda13x")


#: Parts of the configuration that say where and how, not what is computed.
WHEREABOUTS: dict[str, Any] = {
    **dict.fromkeys(("storage", "executor", "backend"), True),
    "validation": {"memory_gb"},
}


def provenance(config: TrainConfig, market: MarketCandles, backend: str) -> dict[str, Any]:
    """Collect what it takes to find a result again. Times are UTC, ISO 8601."""
    candles = market.candles
    return {
        "model_version": __version__,
        "engine_hash": engine_hash(),
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
    }


def config_hash(config: TrainConfig) -> str:
    """SHA-256 of everything in the configuration that decides what is computed."""
    values = config.model_dump(mode="json", exclude=WHEREABOUTS)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@cache
def engine_hash() -> str:
    """SHA-256 of the source of the engine and the strategies, in the order of their paths."""
    digest = hashlib.sha256()
    for package in (gpu_engine, strategies):
        root = Path(package.__path__[0])
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".cu", ".cuh")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def runtime_env() -> dict[str, str]:
    """Versions of Python, the platform and the packages that compute."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _iso(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat()


#: Between candles and stage: packages and modules of `pipeline` whose code may change a stage.
MEASURED = (
    "market_data",
    "search",
    "strategies",
    "training/candles.py",
    "training/planting.py",
    "training/run.py",
    "validation",
)


def fingerprint(config: TrainConfig) -> str:
    """SHA-256 of the configuration, the content of its file of candles, and the code measured.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    values = config.model_dump(mode="json", exclude=WHEREABOUTS)
    if isinstance(config.data, FileData):
        values["data"]["path"] = _file_hash(config.data.path)
    text = json.dumps(values, sort_keys=True) + _source_hash()
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _file_hash(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--candles {path} cannot be read: {error.strerror}.") from None


@cache
def _source_hash() -> str:
    engine, package = (Path(p.__path__[0]) for p in (gpu_engine, pipeline))
    digest = hashlib.sha256()
    for place in (engine, *(package / name for name in MEASURED)):
        files = [place] if place.is_file() else place.rglob("*")
        for path in sorted(f for f in files if f.suffix in (".py", ".cu", ".cuh")):
            digest.update(path.relative_to(place.parent).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()


def describe() -> dict[str, Any]:
    """Return processor, cores that this process may use, and versions of what computes."""
    return {
        "cpu": _cpu_model(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numpy", "numba", "scipy", "optuna")},
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


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
