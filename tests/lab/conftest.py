"""Candles of half a year, as a data frame and on their grid."""

import pandas as pd
import pytest

from pipeline import lab
from pipeline.market_data.garch import garch_candles
from pipeline.market_data.raw import COLUMNS


@pytest.fixture(scope="session")
def frame():
    raw = garch_candles(420, "4h", 3, 0.7)
    columns = {name: getattr(raw, name) for name in COLUMNS}
    times = pd.to_datetime(columns.pop("timestamp"), unit="ms", utc=True)
    return pd.DataFrame(columns, index=times)


@pytest.fixture(scope="session")
def candles(frame):
    return lab.candles(frame)
