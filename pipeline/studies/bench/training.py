"""Take the default training as the configuration describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.config import BayesianConfig, TrainConfig, load
from pipeline.search import make_space
from pipeline.search.loop import SearchSettings
from pipeline.studies.bench.setting import Setting


class Training(NamedTuple):
    """A training as the configuration describes it: its grid and its search."""

    setting: Setting
    search: SearchSettings

    @classmethod
    def default(cls, overrides: Sequence[str] = ()) -> Training:
        """Take what ``scripts/train market=demo optimizer=bayesian`` would."""
        config = load(["market=demo", "optimizer=bayesian", *overrides], TrainConfig, "train")
        assert isinstance(config.optimizer, BayesianConfig), "as the overrides say"
        strategy = config.strategy.load()
        space = make_space(strategy, config.strategy.parameters, continuous=False)
        search = SearchSettings(
            "bayesian",
            config.optimizer.trials,
            config.optimizer.batch,
            config.objective,
            config.selection,
            config.min_trades,
            config.seed,
        )
        setting = Setting(space, config.costs.record(), config.risk.limits())
        return cls(setting, search)
