"""Merging candles of two sources: the union, where they disagree, and whose candle is kept."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.market_data.files.importing import merge
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.store.store import EMPTY

histories = st.dictionaries(st.integers(0, 30), st.integers(1, 3), max_size=20)


def candles(history):
    """Candles of price ``history[t]`` at ``t``, in the order of the dict."""
    price = np.array(list(history.values()), dtype=np.float64)
    return RawCandles(np.array(list(history), dtype=np.int64), *[price] * 5)


def as_dict(raw):
    return dict(zip(raw.timestamp.tolist(), raw.close.tolist(), strict=True))


@given(histories, histories, st.sampled_from(["stored", "imported"]))
def test_the_truth_decides_where_both_speak_and_else_who_speaks_is_believed(here, there, truth):
    stored = EMPTY.overlay(candles(here), [(0, 20)])
    merged = merge(stored, candles(there), truth, [(10, 31)])
    first, second = (here, there) if truth == "stored" else (there, here)
    speaks = range(20) if truth == "stored" else range(10, 31)
    expected = {t: p for t, p in second.items() if t not in speaks} | first
    assert as_dict(merged.stored.rows) == expected
    assert merged.stored.rows.timestamp.tolist() == sorted(expected)
    assert merged.stored.answered == ((0, 31),)
    both = sorted(here.keys() & there.keys())
    assert merged.compared == len(both)
    assert as_dict(merged.ours) == {t: here[t] for t in both if here[t] != there[t]}
    assert as_dict(merged.theirs) == {t: there[t] for t in both if here[t] != there[t]}
    assert merged.only_ours.tolist() == sorted(t for t in here if t >= 10 and t not in there)
    assert merged.only_theirs.tolist() == sorted(t for t in there if t < 20 and t not in here)


def test_any_number_may_disagree_by_the_last_bit(rows):
    stored = EMPTY.overlay(rows(range(6)), [])
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(rows(range(6)), name)
        column[3] = np.nextafter(column[3], 0)
        merged = merge(stored, replace(rows(range(6)), **{name: column}), "imported", [])
        assert merged.ours.timestamp.tolist() == [rows(range(6)).timestamp[3]]
        assert getattr(merged.theirs, name)[0] == column[3]
        assert getattr(merged.stored.rows, name)[3] == column[3]


def test_equal_candles_agree(rows):
    stored = EMPTY.overlay(rows(range(6)), [])
    merged = merge(stored, rows(range(3, 9)), "stored", [])
    assert (merged.compared, len(merged.ours), len(merged.stored.rows)) == (3, 0, 9)
