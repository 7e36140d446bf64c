"""The configuration of a backtest of one combination: `conf/backtest.yaml`."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config.section import Count
from pipeline.config.simulation import SimulationConfig


class BacktestConfig(SimulationConfig):
    """One combination on the whole history.

    Attributes
    ----------
    parameters : dict of str to float or None
        One value for each parameter of the strategy.
    trades : int or None
        How many of the last trades to print; None prints all.
    json_file : str or None
        Where metrics and all trades go as JSON, relative to the working directory.
    """

    parameters: dict[str, float | None]
    trades: Count | None
    json_file: str | None

    def _complaints(self) -> Iterator[str]:
        yield from super()._complaints()
        yield from self.combination_complaints("parameters", self.parameters)
