"""The batch engine: candles and event tables in, metrics of any number of combinations out."""

from gpu_engine.agreement import (
    METRIC_TOLERANCE,
    RETURN_TOLERANCE,
    Disagreement,
    compare_metrics,
    compare_trades,
)
from gpu_engine.backend import (
    Backend,
    BackendUnavailableError,
    Choice,
    array_module,
    choose,
    set_threads,
)
from gpu_engine.book import EventBook
from gpu_engine.exits import ExitSettings
from gpu_engine.grid import Axis, Grid
from gpu_engine.marking import marked_metrics, marked_returns
from gpu_engine.metrics import DAYS_PER_YEAR, NO_DEVIATION, annualised, deviation_of, metrics_of
from gpu_engine.records import (
    DAY_MS,
    END,
    LIQUIDATION,
    METRICS,
    REASONS,
    SIGNAL,
    STOP,
    TARGET,
    TARGET_GAP,
    TIME,
    TRADE,
    Advance,
    Batch,
    Bool,
    Candles,
    Costs,
    Direction,
    EventTable,
    Float,
    Funding,
    Int32,
    Int64,
    RiskLimits,
    Tables,
    Window,
)
from gpu_engine.scoring import MINIMISED, ScoreRule, round_significant, scores_of
from gpu_engine.summary import GridSummary, SummaryBuilder
