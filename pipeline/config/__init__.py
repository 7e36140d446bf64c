"""The configuration: Hydra composes it from `conf`, these schemas check and type it."""

from pipeline.config.commands import (
    BacktestConfig,
    FetchConfig,
    SimulationConfig,
    StorageOnly,
    StoredConfig,
)
from pipeline.config.data import (
    CcxtData,
    DataConfig,
    FileData,
    PlantConfig,
    SurrogateConfig,
    SyntheticData,
)
from pipeline.config.loading import CONFIG_DIR, checked, composed, load, resolved, validated
from pipeline.config.market import ExchangeConfig, MarketConfig, Timeframe
from pipeline.config.run import (
    BackendConfig,
    CostsConfig,
    ExecutorConfig,
    LocalExecutor,
    ProcessesExecutor,
    RayExecutor,
    RiskConfig,
    StorageConfig,
)
from pipeline.config.search import (
    BayesianConfig,
    GridConfig,
    OptimizerConfig,
    ParameterConfig,
    RandomConfig,
    StrategyConfig,
)
from pipeline.config.section import Section
from pipeline.config.train import Objective, TrainConfig
from pipeline.config.validation import TrainTestSplit, ValidationConfig, WalkForward

__all__ = [
    "CONFIG_DIR",
    "BackendConfig",
    "BacktestConfig",
    "BayesianConfig",
    "CcxtData",
    "CostsConfig",
    "DataConfig",
    "ExchangeConfig",
    "ExecutorConfig",
    "FetchConfig",
    "FileData",
    "GridConfig",
    "LocalExecutor",
    "MarketConfig",
    "Objective",
    "OptimizerConfig",
    "ParameterConfig",
    "PlantConfig",
    "ProcessesExecutor",
    "RandomConfig",
    "RayExecutor",
    "RiskConfig",
    "Section",
    "SimulationConfig",
    "StorageConfig",
    "StorageOnly",
    "StoredConfig",
    "StrategyConfig",
    "SurrogateConfig",
    "SyntheticData",
    "Timeframe",
    "TrainConfig",
    "TrainTestSplit",
    "ValidationConfig",
    "WalkForward",
    "checked",
    "composed",
    "load",
    "resolved",
    "validated",
]
