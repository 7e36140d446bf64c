"""Count the real days behind rearranged candles: many markets are made of few of them."""

from collections.abc import Sequence
from pathlib import Path

from gpu_engine import DAY_MS
from pipeline.market_data.files.reading import read_file
from pipeline.studies.calibrate.markets import named


def real_days(files: Sequence[Path]) -> dict[str, dict[str, int]]:
    """Return for each timeframe what its files hold.

    Returns
    -------
    dict
        By timeframe: ``files``, ``coins``, ``coin_days`` (different pairs of a coin and a UTC day)
        and ``calendar_days`` (different days, on which coins move together).
    """
    held: dict[str, list[tuple[str, set[int]]]] = {}
    for file in files:
        name = named(file)
        days = set((read_file(str(file)).timestamp // DAY_MS).tolist())
        held.setdefault(name.timeframe, []).append((name.coin, days))
    return {
        timeframe: {
            "files": len(contents),
            "coins": len({coin for coin, _ in contents}),
            "coin_days": len({(coin, day) for coin, days in contents for day in days}),
            "calendar_days": len(set().union(*(days for _, days in contents))),
        }
        for timeframe, contents in held.items()
    }
