"""What a measurement depends on, as one hash: another one, and old figures prove nothing."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import gpu_engine
import pipeline
from pipeline.config import FileData, TrainConfig
from pipeline.errors import UserError
from pipeline.provenance import WHEREABOUTS

#: Between candles and stage: packages and modules of `pipeline` whose code may change a stage.
MEASURED = (
    "candles.py",
    "market_data",
    "planting.py",
    "search",
    "strategies",
    "training.py",
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
