"""The random candles of the contract suite, which most tests of rules use."""

from pipeline.studies.coarse_candles import TICK, coarse_candles

__all__ = ["TICK", "coarse_candles"]
