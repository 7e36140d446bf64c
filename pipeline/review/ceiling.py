"""Cap the stage of a configuration by what monitoring saw (validation rules §6)."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.results.records import MONITOR, ConfigurationEvent
from pipeline.validation.stages import STAGES, Stage


def cap_stage(stage: Stage, events: Sequence[ConfigurationEvent]) -> Stage:
    """Lower ``stage`` to the highest that monitoring leaves the configuration."""
    highest = ceiling(events)
    return stage if highest is None else min(stage, highest, key=STAGES.index)


def ceiling(events: Sequence[ConfigurationEvent]) -> Stage | None:
    """Return the lowest stage whose gates monitoring saw fail, or moved to; None for none.

    Its result stays true, also where the stage was that low already and did not move. A sweep's or
    live orders' result is a figure among the gates, and is judged again with them.
    """
    looks = [event for event in events if event.kind == MONITOR]
    gates = [gate for event in looks for gate in event.figures.get("gates", ())]
    stages = [gate["stage"] for gate in gates if gate["passed"] is False]
    stages += [event.to_stage for event in looks if event.to_stage != event.from_stage]
    return min(stages, key=STAGES.index, default=None)
