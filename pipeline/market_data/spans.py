"""Stretches of time, and which of them were asked of an exchange and answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gpu_engine.records import Bool, Int64

#: Half-open ``[start, end)`` of open times, milliseconds since the epoch, UTC.
Span = tuple[int, int]


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Unite spans that overlap or touch, oldest first."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((start, end))
    return tuple(whole)


def uncovered(span: Span, cover: Sequence[Span]) -> list[Span]:
    """Parts of ``span`` that no span of the sorted ``cover`` holds, oldest first."""
    start, end = span
    parts = []
    for cover_start, cover_end in cover:
        if start < min(cover_start, end):
            parts.append((start, min(cover_start, end)))
        start = max(start, cover_end)
    if start < end:
        parts.append((start, end))
    return parts


def within(time: Int64, spans: Iterable[Span]) -> Bool:
    """Tell which of the times lie in any of the spans; bool of shape (n,)."""
    inside = np.zeros(len(time), np.bool_)
    for start, end in spans:
        inside |= (time >= start) & (time < end)
    return inside


def clipped(spans: Iterable[Span], to: Span) -> tuple[Span, ...]:
    """Parts of the spans that lie in ``to``."""
    cut = ((max(start, to[0]), min(end, to[1])) for start, end in spans)
    return tuple((start, end) for start, end in cut if start < end)
