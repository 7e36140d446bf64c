"""Say all that a bot needs of one configuration, in a file beside the strategy that reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpu_engine import Costs, RiskLimits
from pipeline.config import StrategyConfig
from pipeline.strategies.registry import LoadedStrategy, load_strategy

#: Of the file: a reader refuses what it does not know.
VERSION = 1


@dataclass(frozen=True)
class Plan:
    """What a bot trades of one configuration.

    Attributes
    ----------
    configuration_id, stage, synthetic, size
        Which one; its stage when it was exported; whether its candles were invented; the share of a
        full position that it may trade, 0 for none.
    exchange, pair, timeframe
        The market, as ccxt calls it.
    engine_hash
        Of the engine and the strategy that this file was written with.
    strategy
        ``name``, and of an own strategy ``text`` (the whole file as it was trained) and ``file``.
    parameters
        Value by name; None is a threshold that is off.
    costs, risk
        Fields of `gpu_engine.Costs` (but funding) and `gpu_engine.RiskLimits`.
    startup_candles
        Closed candles that its events need before the first that may be traded.
    """

    configuration_id: str
    stage: str
    synthetic: bool
    size: float
    exchange: str
    pair: str
    timeframe: str
    engine_hash: str
    strategy: Mapping[str, Any]
    parameters: Mapping[str, float | None]
    costs: Mapping[str, Any]
    risk: Mapping[str, Any]
    startup_candles: int
    version: int = VERSION

    def to_json(self) -> str:
        """Write the plan."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            When it is of another version, or no plan.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or values.get("version") != VERSION:
            raise ValueError(
                f"this file is no plan of version {VERSION}: export the configuration again"
            )
        return cls(**values)

    def load(self) -> LoadedStrategy:
        """Return the strategy; an own one from the text that was trained."""
        own = self.strategy
        return load_strategy(own["name"], own.get("text"), own.get("file"))

    def record_of_costs(self) -> Costs:
        """Return the engine's record; what a contract pays or receives is not in it."""
        return Costs(**self.costs)

    def limits(self) -> RiskLimits:
        """Return the engine's record."""
        return RiskLimits(**self.risk)


def plan_strategy(strategy: StrategyConfig) -> dict[str, Any]:
    """Return the plan's ``strategy`` of a configuration's."""
    if strategy.text is None:
        return {"name": strategy.name}
    return {"name": strategy.name, "text": strategy.text, "file": f"{strategy.name}.py"}
