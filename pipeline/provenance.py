"""Where a result comes from: hashes of code, configuration and candles, and what computed it."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gpu_engine
from pipeline import __version__, strategies
from pipeline.config import TrainConfig
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
