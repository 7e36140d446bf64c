"""Candles written to files as exchanges, freqtrade and people write them."""

import gzip
import json
import zipfile

import numpy as np
import pandas as pd

from pipeline.market_data.raw import COLUMNS, RawCandles


def random_candles(seed, bars, step, start=1_672_531_200_000, present=0.8):
    """Some of ``bars`` candles: prices of any digits, and volumes down to 1e-8."""
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(rng.random(bars) < present)
    kept = np.union1d(kept, [0, 1, bars - 1])  # two neighbours tell the timeframe
    low, opened, close, high = np.sort(20_000 * np.exp(rng.normal(0, 0.1, (4, len(kept)))), axis=0)
    volume = rng.integers(1, 10**9, len(kept)) * 1e-8
    return RawCandles(start + step * kept, opened, high, low, close, volume)


def table(raw):
    return pd.DataFrame({name: getattr(raw, name) for name in COLUMNS})


BINANCE_NAMES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)


def binance_csv(raw, unit=1, header=False, contract="linear"):
    """Twelve columns; ``unit`` 1,000 for times in microseconds.

    An ``inverse`` contract counts its volume in contracts of 100 USD, and coins beside it; a
    ``mark`` price has no volume, but updates.
    """
    frame = table(raw)
    step = int(np.diff(raw.timestamp).min())
    frame["close_time"] = (frame.timestamp + step) * unit - 1
    frame["timestamp"] *= unit
    frame["quote_volume"] = frame.volume * frame.close
    frame["count"] = 7
    if contract == "inverse":
        frame["volume"] = np.arange(1, len(frame) + 1) * 10.0
        frame["quote_volume"] = frame.volume * 100 / frame.close
    elif contract == "mark":
        frame["volume"] = frame["quote_volume"] = 0
    frame["taker_buy_volume"], frame["taker_buy_quote_volume"] = frame.volume, frame.quote_volume
    frame["ignore"] = 0
    frame = frame.rename(columns={"timestamp": "open_time"})
    assert ",".join(frame.columns) == BINANCE_NAMES
    return frame.to_csv(index=False, header=header).encode()


def kraken_csv(raw):
    """Seven columns, times in seconds."""
    frame = table(raw).assign(trades=3)
    frame["timestamp"] //= 1_000
    return frame.to_csv(index=False, header=False).encode()


def freqtrade_json(raw):
    return json.dumps(table(raw).values.tolist()).encode()


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write(path, raw):
    """Write plain or freqtrade's columns, by the suffix: csv, parquet, feather, json, json.gz."""
    name = path.name
    if name.endswith(".json"):
        path.write_bytes(freqtrade_json(raw))
    elif name.endswith(".json.gz"):
        path.write_bytes(gzip.compress(freqtrade_json(raw)))
    elif name.endswith(".feather"):
        dates = pd.to_datetime(raw.timestamp, unit="ms", utc=True)
        table(raw).drop(columns="timestamp").assign(date=dates).to_feather(path)
    elif name.endswith(".parquet"):
        table(raw).to_parquet(path)
    else:
        table(raw).to_csv(path, index=False)
    return path
