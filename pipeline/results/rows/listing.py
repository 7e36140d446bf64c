"""Select pages of trained configurations: filtered, in an order, from indices alone.

A row holds some tens of kilobytes of documents, so neither counting nor ordering may touch rows:
every sort key has an index that holds all filters too (`pipeline.results.tables.models`), the ids
of a page are read from it alone, and only their rows are opened.
"""

from typing import Any, Literal, TypedDict, get_args

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from pipeline.results.tables.models import NULLABLE, TrainedConfiguration
from pipeline.validation.stages import Stage

SortKey = Literal[
    "created_at",
    "oos_sharpe_ratio",
    "oos_net_profit",
    "sample_size",
    "p_value",
    "max_drawdown",
    "fdr_q_value",
    "market",
    "stage_rank",
    "optimizer",
    "seed",
    "first_day",
]

SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)


class Filters(TypedDict, total=False):
    """Values that listed configurations have; None is no filter."""

    lifecycle_stage: Stage | None
    exchange: str | None
    pair: str | None
    timeframe: str | None
    strategy: str | None
    job_id: str | None
    synthetic: bool | None
    is_active: bool | None


def ids_query(
    filters: Filters, order_by: SortKey, descending: bool, limit: int | None, offset: int
) -> Select[Any]:
    """Select the ids of a page: by a figure, nulls last, by id where it is equal.

    An index has them in this order.
    """
    query = _ordered(_filtered(select(TrainedConfiguration.id), filters), order_by, descending)
    return query.limit(limit).offset(offset)


def count_query(filters: Filters) -> Select[tuple[int]]:
    """Count the configurations that match every filter."""
    return _filtered(select(func.count()).select_from(TrainedConfiguration), filters)


def prefer_indices(session: Session) -> None:
    """Have PostgreSQL read a page far behind from its index, until this transaction ends.

    By default it takes a page of an index for a seek on a disk, four times as dear as the next page
    of the table, and sorts the table instead. These indices are small and lie in memory.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL random_page_cost = 1.1"))


def _filtered(query: Select[Any], filters: Filters) -> Select[Any]:
    for name, value in filters.items():
        column = getattr(TrainedConfiguration, name)
        if isinstance(value, bool):  # as a literal, which the index of active ones needs
            query = query.where(column if value else ~column)
        elif value is not None:
            query = query.where(column == value)
    return query


def _ordered(query: Select[Any], order_by: SortKey, descending: bool) -> Select[Any]:
    """Order figure and id in one direction, as an index is read."""
    columns = [getattr(TrainedConfiguration, name) for name in (order_by, "id")]
    order = [column.desc() if descending else column.asc() for column in columns]
    if order_by in NULLABLE:
        order[0] = order[0].nulls_last()
    return query.order_by(*order)
