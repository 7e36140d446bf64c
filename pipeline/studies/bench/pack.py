"""Pack golden files, candles and the default grid for a host without Parquet and Hydra."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.studies.bench.training import Training


def pack(source: Path, path: Path) -> None:
    """Write the regular grid of the candles in ``source``, and the default parameters' values."""
    raw = read_file(str(source))
    candles, _ = make_regular(raw, inferred_timeframe(raw.timestamp, source.name), source.name)
    dimensions = Training.default().setting.space.dimensions
    arrays: dict[str, Any] = {
        f"grid.{d.parameter.name}": d.choices for d in dimensions if d.choices is not None
    }
    arrays |= {n: getattr(candles, n) for n in (*candles.COLUMNS, "step_ms")}
    np.savez_compressed(path, **arrays)


def pack_golden(shared: Path, folder: Path) -> None:
    """Copy every golden file of ``shared`` that has real candles, and pack those candles.

    What the folder held before is removed: files of earlier rules would be tested against.
    """
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for path in sorted((shared / "spec" / "golden" / "v2").glob("*.json")):
        data = json.loads(path.read_text())["data"]
        if data is not None:
            shutil.copyfile(path, draft / path.name)
            if not (draft / f"{data}.npz").exists():
                pack(shared / "data" / data, draft / f"{data}.npz")
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


if __name__ == "__main__":
    pack_golden(Path(sys.argv[1]), Path(sys.argv[2]))
