"""Lay out lists as tables: stored configurations, and the markets of a sweep."""

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.report.loading import SweptMarket
from pipeline.report.rows import ConfigurationRow, MarketRow, columns_of
from pipeline.report.tables import Table, listed
from pipeline.results.records import ConfigurationSummary

#: Configurations that are read at a time: each row is some tens of kilobytes before it is one here.
_PIECE = 200

#: Reads configurations at places ``[start, end)`` of a list: each itself, or its id and why not.
Page = Callable[[int, int], Sequence[ConfigurationSummary | tuple[str, str]]]


def configurations_table(total: int, page: Page) -> Table:
    """Lay out a list of stored configurations (`ConfigurationRow`)."""
    columns = columns_of(ConfigurationRow)

    def cells(start: int, end: int) -> Any:
        return listed(columns, [_configuration(one) for one in page(start, end)])

    return Table(columns, total, cells, _PIECE)


def _configuration(one: ConfigurationSummary | tuple[str, str]) -> dict[str, Any]:
    if isinstance(one, tuple):
        none = dict.fromkeys(ConfigurationRow.model_fields)
        return none | {"id": one[0], "refused": one[1]}
    return vars(one) | {  # the other columns are called as there
        "candles": "SYNTHETIC" if one.synthetic else "real",
        "stage": one.lifecycle_stage,
        "active": "active" if one.is_active else "not active",
        "net_profit": one.oos_net_profit,
        "sharpe_ratio": one.oos_sharpe_ratio,
        "trades": one.sample_size,
        "q_value": one.fdr_q_value,
        "method": one.optimizer,
        "stored": f"{one.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "refused": "",
    }


def markets_table(markets: Sequence[SweptMarket]) -> Table:
    """Lay out the markets of a sweep in its order (`MarketRow`)."""
    columns = columns_of(MarketRow)
    rows = [_market(market) for market in markets]
    return Table(columns, len(rows), lambda start, end: listed(columns, rows[start:end]))


def _market(market: SweptMarket) -> dict[str, Any]:
    stored = market.configuration
    return vars(market) | {  # the other columns are called as there
        "candles": "SYNTHETIC" if market.synthetic else "real",
        "stage": market.stage,
        "beats_luck": stored and stored.luck.answer,
        "luck_reason": stored and stored.luck.reason,
        **{name: market.figure(name) for name in SWEPT_FIGURES},
        "trades": market.figure("sample_size"),
        "q_value": market.fdr_q_value,
        "configuration": None if stored is None else stored.id,
        "job": market.job_id,
    }


#: Figures of what a market stored that are called here as there.
SWEPT_FIGURES = ("net_profit", "hold_net_profit", "sharpe_ratio", "max_drawdown")
