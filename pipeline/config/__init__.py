"""The configuration: Hydra composes it from `conf`, these schemas check and type it."""

from pipeline.config.catalogue import (
    CONFIG_DIR,
    Market,
    in_quotes,
    select_markets,
    select_strategies,
    strategy_name,
    strategy_word,
    typed,
    usable_strategies,
)
from pipeline.config.commands import (
    TOKEN_VARIABLE,
    BacktestConfig,
    CheckConfig,
    DispatchConfig,
    FetchConfig,
    Objective,
    OutboxConfig,
    ServeConfig,
    SimulationConfig,
    StorageOnly,
    StoredConfig,
    SweepConfig,
    TrainConfig,
)
from pipeline.config.data import (
    DEFAULT_HISTORY_DAYS,
    CcxtData,
    DataConfig,
    ExchangeConfig,
    FileData,
    MarketConfig,
    PlantConfig,
    SyntheticData,
    Timeframe,
)
from pipeline.config.history import (
    ALL,
    DEFAULT_FUNDING_RATE,
    EARLIEST_MS,
    Length,
    SurrogateConfig,
)
from pipeline.config.loading import check, compose, compose_each, load, validate
from pipeline.config.run import (
    APPRISE_VARIABLE,
    NOTIFY_VARIABLES,
    SECRET_VARIABLE,
    WEBHOOK_VARIABLE,
    BackendConfig,
    CostsConfig,
    ExecutorConfig,
    LocalExecutor,
    NoticeKind,
    NotifyConfig,
    ProcessesExecutor,
    RayExecutor,
    RiskConfig,
    StorageConfig,
)
from pipeline.config.search import (
    MOST_DRAWN,
    PLATEAU_LIMIT,
    BayesianConfig,
    GridConfig,
    OptimizerConfig,
    ParameterConfig,
    RandomConfig,
    StrategyConfig,
)
from pipeline.config.section import Section, meanings, milliseconds, moment, text_hash
from pipeline.config.validation import (
    SURROGATES,
    LuckTests,
    Rolling,
    TrainTestSplit,
    ValidationConfig,
    WalkForward,
)
