"""The trades on their candles: all of them, or the one that is chosen."""

from __future__ import annotations

from pipeline.report.loading import ReportData
from pipeline.report.payload import DETAIL_LIMIT, DETAILED
from pipeline.report.theme import Figure
from pipeline.report.trades import around, trades_on_candles
from pipeline.web.studio.theme import Theme
from pipeline.web.studio.widgets.placeholders import on_choice, place


class Trades:
    """The figure ``trades`` of the section *Trades out of sample*."""

    def __init__(self, theme: Theme, report: ReportData) -> None:
        assert report.artifacts is not None, "no trades without artifacts"
        self._theme = theme
        self._trades, self._candles = report.artifacts.trades, report.candles
        if self._candles is None or len(self._trades) == 0:
            return
        self._plot = place("trades", theme, self._figure(0))
        on_choice("trades-choice", lambda value: theme.redraw(self._plot, self._figure(int(value))))

    def _figure(self, chosen: int) -> Figure:
        """Draw all trades for 0, else that one of the newest `DETAILED`."""
        assert self._candles is not None, "nothing to choose without candles"
        if chosen == 0:
            return trades_on_candles(self._candles, self._trades)
        trade = self._trades[-DETAILED:][chosen - 1]
        span = around(self._candles, trade)
        return trades_on_candles(self._candles, self._trades, span, limit=DETAIL_LIMIT)
