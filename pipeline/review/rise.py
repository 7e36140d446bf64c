"""Let a configuration rise by the days that it was watched on paper (validation rules §6.13)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline.results.database import Repository
from pipeline.results.document import after_live_orders
from pipeline.results.records import WATCH, Configuration, ConfigurationEvent, Judgement
from pipeline.validation.stages import WATCHED, judge, position_size
from pipeline.validation.watching import LOOKS, WATCHED_STAGES, Look
from pipeline.validation.wording import number, percent, plural

#: Figures of a look that gates judge.
_JUDGED = ("net_profit", "sharpe_ratio", WATCHED)


def watched_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the figures of an event that its gates are judged by."""
    return {name: figures[name] for name in _JUDGED}


def may_rise(configuration: Configuration, events: Sequence[ConfigurationEvent]) -> bool:
    """Whether watching may lift a configuration with these events (validation rules §6.13)."""
    return (
        configuration.lifecycle_stage in WATCHED_STAGES
        and not configuration.synthetic
        and not any(event.kind == WATCH for event in events)
    )


def ways_to_rise(
    configuration: Configuration, events: Sequence[ConfigurationEvent]
) -> Iterator[str]:
    """Say how watching lifts a configuration; nothing where it cannot."""
    if may_rise(configuration, events):
        looks = ", ".join(map(str, LOOKS[:-1]))
        yield (
            f"Paper trading (scripts/paper) can lift it to VALIDATION, once: after {looks} or"
            f" {LOOKS[-1]} watched days, if they alone show that luck and the market do not explain"
            " what they earned."
        )


def record_look(repository: Repository, configuration_id: str, look: Look) -> bool:
    """Lift a configuration to VALIDATION if a look lets it; tell whether it rose.

    Only PAPER and DISCOVERY rise, only on candles of a market, and only once: what fell since is
    not lifted by the days that lifted it.

    Raises
    ------
    UnknownIdError
        When the configuration is not stored.
    EditedError
        When its row does not agree with its audit trail.
    """
    return repository.configurations.rejudge(configuration_id, partial(_judgement, look))


def _judgement(
    look: Look, configuration: Configuration, events: Sequence[ConfigurationEvent]
) -> Judgement | None:
    if look.watched_p is None or not may_rise(configuration, events):
        return None
    figures = watched_figures(look.figures())
    stage, gates = judge(configuration.judged_figures | figures)
    if stage != "VALIDATION":
        return None
    size = position_size(stage, gates, configuration.synthetic)
    return Judgement(
        kind=WATCH,
        stage=stage,
        statistics=configuration.statistics,
        gates=[gate.to_dict() for gate in gates],
        document=after_live_orders(
            configuration.document, stage, size, configuration.out_of_sample, {}
        ),
        reason=_reason(look),
        figures=look.figures(),
    )


def _reason(look: Look) -> str:
    return (
        f"Watched on paper for {plural(look.days, 'day')}, {plural(look.trades, 'trade')}:"
        f" p = {number(look.watched_p)} with all {len(LOOKS)} looks at"
        f" {plural(look.accounts, 'account')}; with the days before, net"
        f" {percent(look.net_profit)} and Sharpe ratio {number(look.sharpe_ratio)}."
    )
