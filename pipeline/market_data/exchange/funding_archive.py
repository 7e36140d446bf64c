"""Fetch whole months of funding from Binance's public archive, each checked by its hash."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.market_data.exchange.month_archives import BadFileError, MonthArchive
from pipeline.market_data.files.funding import read_funding
from pipeline.market_data.funding import INTERVAL_MS
from pipeline.market_data.raw import Span, uncovered
from pipeline.market_data.store.store import Page


class FundingArchive(MonthArchive):
    """The months of one perpetual contract's payments."""

    otherwise: ClassVar = " Its payments are not known."

    @property
    def step_ms(self) -> int:
        """Milliseconds from one payment to the next, at most."""
        return INTERVAL_MS

    def _file(self, month: str) -> str:
        return f"{self.pair.replace('/', '')}-fundingRate-{month}.zip"

    def _place(self, file: str) -> str:
        return f"data/{self.folder}/monthly/fundingRate/{self.pair.replace('/', '')}/{file}"

    def _page(self, file: str, content: bytes, wanted: Span, month: Span) -> Page:
        """Read the payments of a zip that lie in ``wanted``, for which they are all there are."""
        raw = self._read(file, content, lambda path: read_funding(path, self.symbol))
        rows = np.column_stack((raw.timestamp.astype(np.float64), raw.rate))
        rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
        if len(rows) and uncovered((int(rows[0, 0]), int(rows[-1, 0]) + 1), [month]):
            raise BadFileError("it has payments of another month")
        return rows[(rows[:, 0] >= wanted[0]) & (rows[:, 0] < wanted[1])], wanted
