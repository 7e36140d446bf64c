"""Let a configuration rise by the days that it was watched on paper (validation rules §6.13)."""

from collections.abc import Mapping, Sequence
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
    if (
        configuration.lifecycle_stage not in WATCHED_STAGES
        or configuration.synthetic
        or look.watched_p is None
        or any(event.kind == WATCH for event in events)
    ):
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
