"""Which stored configurations a page shows, and in which order.

A row holds some tens of kilobytes of documents, so neither counting nor ordering may touch rows:
every sort key has an index that holds all filters too (`pipeline.results.models`), the ids of a
page are read from it alone, and only their rows are opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from pipeline.results.models import TrainedConfiguration
from pipeline.results.records import ConfigurationRow

SortKey = Literal["created_at", "oos_sharpe_ratio", "oos_net_profit", "sample_size", "p_value"]

SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)


def counted(wanted: Mapping[str, Any]) -> Select[tuple[int]]:
    """Count what has every value in ``wanted``; None there is no filter."""
    return _filtered(select(func.count()).select_from(TrainedConfiguration), wanted)


def documents(
    wanted: Mapping[str, Any], order_by: SortKey, descending: bool, limit: int | None, offset: int
) -> Select[tuple[TrainedConfiguration]]:
    """Select a page of whole rows: ordered by a figure, nulls last, and by id where it is equal."""
    shown = select(TrainedConfiguration)
    return _page(shown, wanted, order_by, descending, limit, offset)


def rows(
    wanted: Mapping[str, Any], order_by: SortKey, descending: bool, limit: int | None, offset: int
) -> Select[Any]:
    """Select the same page as `documents`, of the columns of a `ConfigurationRow`."""
    shown = select(
        *(getattr(TrainedConfiguration, field.name) for field in fields(ConfigurationRow))
    )
    return _page(shown, wanted, order_by, descending, limit, offset)


def prefer_indices(session: Session) -> None:
    """Have PostgreSQL read a page far behind from its index, until this transaction ends.

    By default it takes a page of an index for a seek on a disk, four times as dear as the next page
    of the table, and sorts the table instead. These indices are small and lie in memory.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL random_page_cost = 1.1"))


def ids(
    wanted: Mapping[str, Any], order_by: SortKey, descending: bool, limit: int | None, offset: int
) -> Select[tuple[str]]:
    """Select the ids of such a page: an index has them in its order."""
    query = _ordered(_filtered(select(TrainedConfiguration.id), wanted), order_by, descending)
    return query.limit(limit).offset(offset)


def _page(
    shown: Select[Any],
    wanted: Mapping[str, Any],
    order_by: SortKey,
    descending: bool,
    limit: int | None,
    offset: int,
) -> Select[Any]:
    page = ids(wanted, order_by, descending, limit, offset)
    return _ordered(shown.where(TrainedConfiguration.id.in_(page)), order_by, descending)


def _filtered(query: Select[Any], wanted: Mapping[str, Any]) -> Select[Any]:
    for name, value in wanted.items():
        column = getattr(TrainedConfiguration, name)
        if isinstance(value, bool):  # as a literal, which the index of active ones needs
            query = query.where(column if value else ~column)
        elif value is not None:
            query = query.where(column == value)
    return query


def _ordered(query: Select[Any], order_by: SortKey, descending: bool) -> Select[Any]:
    """Order figure and id in one direction, as an index is read."""
    key, identity = getattr(TrainedConfiguration, order_by), TrainedConfiguration.id
    direction, then = (key.desc(), identity.desc()) if descending else (key.asc(), identity.asc())
    if order_by == "p_value":  # the only key that may be null
        direction = direction.nulls_last()
    return query.order_by(direction, then)
