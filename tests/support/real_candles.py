"""The real candles of shared/data beside the repository, which may not be copied into it."""

from functools import cache

import pytest

from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from support.documents import ROOT

YEAR_5M = "binance_BTC-USDT_5m_2023-01_2023-12"


@cache
def real_candles(name):
    """Candles of one file, whose name holds its timeframe; skips where it is absent."""
    path = ROOT / f"../shared/data/{name}.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in shared/data beside the repository")
    return make_regular(read_file(path), name.split("_")[2], path.name)[0]
