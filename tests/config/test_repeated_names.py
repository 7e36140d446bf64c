"""What the configuration repeats because it may not import it stays equal to its source."""

from dataclasses import fields
from typing import get_args

from gpu_engine import METRICS
from pipeline.config import Objective, Timeframe
from pipeline.config.data import QualityConfig
from pipeline.market_data.quality.report import QualityLimits
from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.strategies.liquidity_sweep import LiquiditySweep


def test_quality_limits(train_config):
    assert set(QualityConfig.model_fields) == {field.name for field in fields(QualityLimits)}
    quality = train_config().data.quality
    assert QualityLimits(**quality.model_dump()) == QualityLimits()


def test_timeframes():
    assert get_args(Timeframe) == tuple(TIMEFRAMES)


def test_objectives_are_the_metrics_but_counts():
    assert set(get_args(Objective)) == set(METRICS.names) - {"sample_size", "n_days"}


def test_parameters_are_those_the_strategy_declares(train_config):
    configured = train_config().strategy.parameters
    assert list(configured) == [parameter.name for parameter in LiquiditySweep.parameters]
    for parameter in LiquiditySweep.parameters:
        values = configured[parameter.name].model_dump()
        assert values == {name: getattr(parameter, name) for name in values}
