"""Rows of candles for the grid's tests, and exchanges on the loopback for the real ccxt client."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.market_data.exchange import fetching
from pipeline.market_data.raw import RawCandles
from support.loopback import LoopbackBinance, LoopbackKraken, candle_series

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
GOLDEN = Path(__file__).resolve().parents[2] / "../shared/spec/golden"
START = 1_672_531_200_000  # 2023-01-01 00:00 UTC
STEP = 300_000
NOW = START + 1_500 * STEP + STEP // 2


def _rows(bars, step=STEP, start=START, **columns):
    """Candles at ``start + step * bars``, price 100 + bar, volume 1, columns replaced at will."""
    bar = np.asarray(list(bars), dtype=np.int64)
    price = 100.0 + bar
    raw = RawCandles(
        start + step * bar, price, price + 1.0, price - 1.0, price + 0.5, np.ones(len(bar))
    )
    return replace(raw, **{name: np.array(values) for name, values in columns.items()})


@pytest.fixture(scope="session")
def rows():
    return _rows


@pytest.fixture
def data_folder():
    if not DATA.is_dir():
        pytest.skip("the real candles (shared/data beside the repository) are not on this machine")
    return DATA


@pytest.fixture
def golden_folder():
    if not GOLDEN.is_dir():
        pytest.skip("the golden files (shared/spec beside the repository) are not on this machine")
    return GOLDEN


@pytest.fixture
def binance():
    """1,500 closed candles since 2023-01-01 and one that is half formed."""
    with LoopbackBinance({"5m": candle_series(10_000)}, now=NOW) as exchange:
        yield exchange


@pytest.fixture
def kraken():
    """The same 1,500 candles, of which Kraken serves the last 720 (one still forming)."""
    with LoopbackKraken({"5m": candle_series(10_000)}, now=NOW) as exchange:
        yield exchange


@pytest.fixture
def fetch(here, monkeypatch):
    """Run `scripts/fetch` in this process, its network a loopback exchange."""

    def run(server, *arguments):
        monkeypatch.setattr(fetching, "new_client", lambda _: server.client())
        return here(*arguments, command="fetch")

    return run
