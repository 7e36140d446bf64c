"""Define the V3 configuration document as Pydantic models, one a section (configuration rules §1).

Every field is required, so a section cannot be written half, but for those of which a document of
an earlier build knows nothing; so is every section but the last, which such documents lack. What
candles alone cannot know is null because a builder said so. Unknown fields are refused, numbers are
finite. What a field means stands in configuration rules §2. `configuration_v3.schema.json` is
generated from these models (``scripts/schema``); `pipeline.results.document.document` fills them.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gpu_engine import Direction
from pipeline.config.section import is_none
from pipeline.validation.stages import Stage

Number = float | None
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Share | None
Count = Annotated[int, Field(ge=0)] | None
Flag = bool | None
Words = list[str] | None
Scalar = bool | int | float | str | None
Moment = Annotated[AwareDatetime, Field(strict=False)]


class Section(BaseModel):
    """A part of the document: closed, frozen, strictly typed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
    )


class Metadata(Section):
    """Where the configuration comes from: what it takes to find it again."""

    model_version: str
    discovery_date: Moment
    engine_hash: str
    runtime_env: dict[str, str]
    """Versions of what computed it, by name."""
    data_hash: str
    """SHA-256 of the candles."""
    config_hash: str
    seed: int
    backend: str
    first_candle: Moment
    """Open of the first candle."""
    last_candle: Moment
    """Open of the last candle."""
    filled_candles: Annotated[int, Field(ge=0)]
    synthetic: bool
    """True where the candles were generated: nothing here is evidence about a market."""
    retrain_by: Moment | None = Field(default=None, exclude_if=is_none)
    """Older than this, its parameters were never tested; absent of an earlier build."""


class StatedMarket(Section):
    """What the exchange said of the market; null where it said nothing."""

    contract: str
    """``spot`` or ``linear perpetual``."""
    taker: Number
    """Fee, fraction of notional."""
    maker: Number
    """The same; negative: a rebate."""
    price_step: Number
    """Quote."""
    amount_step: Number
    """Base, or contracts."""
    least_amount: Number
    """Of an order: base, or contracts."""
    least_cost: Number
    """Of an order: quote."""
    contract_size: Number
    """Base of one contract; null of spot."""
    active: bool | None
    listed: Moment | None
    asked: str
    """UTC day of the answer, ISO 8601."""


class Context(Section):
    """The market."""

    pair: str
    exchange: str
    contract: Literal["spot", "linear perpetual"] | None = Field(default=None, exclude_if=is_none)
    """What was traded, by its symbol; absent of an earlier build."""
    timeframe: str
    stated: StatedMarket | None = Field(default=None, exclude_if=is_none)
    """Absent where the exchange was not asked."""


class Performance(Section):
    """The out-of-sample series: returns are fractions of equity, costs of notional."""

    gross_win_rate: Annotated[Fraction, Field(alias="gross_WR")]
    """Share of trades whose exit beat their entry before fees and slippage."""
    avg_win: float
    avg_loss: float
    exchange_fees: float
    """Sum over the trades."""
    est_slippage: float
    """Sum over the trades."""
    actual_slippage: Number
    NET_PROFIT: float
    sample_size: Annotated[int, Field(ge=0)]


class Band(Section):
    """A figure between two defensible choices."""

    low: float
    high: float


class LongAlone(Section):
    """What the same choices earned on the same days without any short."""

    trades: Annotated[int, Field(ge=0)]
    net_profit: float
    sharpe_ratio: float
    max_drawdown: float


class StatisticalValidation(Section):
    """The out-of-sample series under test; ratios are annualised with 365 days."""

    sharpe_ratio: float
    sharpe_interval: Band | None
    """Two-sided 95 % interval of the Sharpe ratio."""
    calmar_ratio: Number
    """Null where it is undefined: nothing was lost, or it is too large for a number."""
    sortino_ratio: Number
    """Null where no day lost."""
    p_value: Fraction
    z_score: Number
    beta: Number
    """Of a position of the whole equity, against buying and holding on the same days."""
    alpha: Number
    """Return a year that holding the market does not explain."""
    alpha_p: Fraction
    """Chance of such an alpha without one, one-sided."""
    excess_net_profit: Number
    """Net profit less that of buying and holding."""
    time_in_market: Fraction
    """Share of the time with a position."""
    reality_check_p: Fraction
    surrogate_p: Fraction
    fdr_q_value: Fraction
    deflated_sharpe_ratio: Band | None
    """With N = all admissible combinations, and with N implied by the bootstrap maximum."""
    pbo: Fraction
    p_oos_loss: Fraction
    oos_slope: Number
    walk_forward_efficiency: Number
    monte_carlo_var: Number
    """95 % value at risk of the net profit over 30 days."""
    monte_carlo_drawdown: Number
    """95 % drawdown over 30 days, of paths without a drift."""
    max_drawdown: Number
    """What the whole series drew down."""
    ambiguous_exit_share: Fraction
    """Share of trades whose exit bar touched both stop and target."""
    net_profit_target_first: Number
    """Net profit had the target come first in those bars."""
    stability_score: Fraction
    drawdown_duration: Count
    """Longest time under water, days."""
    trade_clustering: Number
    """Lag-1 autocorrelation of the times between entries."""
    rolling_30d_sharpe: Number
    """Of the last 30 days."""
    lifetime_sharpe_ratio: float
    long_alone: LongAlone | None = Field(default=None, exclude_if=is_none)
    """Of a spot market, where shorts need a margin loan; absent where no short was traded."""


class InSample(Section):
    """Metrics on the days the configuration was trained on: promise, not evidence."""

    net_profit: float
    sharpe_ratio: float
    sortino_ratio: Number
    """Null where no day lost."""
    max_drawdown: float
    calmar_ratio: Number
    """Null where it is undefined: nothing was lost, or it is too large for a number."""
    sample_size: Annotated[int, Field(ge=0)]
    win_rate: float
    avg_win: float
    avg_loss: float
    profit_factor: Number
    """Null where no trade lost."""
    n_days: Annotated[int, Field(ge=0)]


class ExecutionMetrics(Section):
    """What only live orders show."""

    fill_rate: Fraction
    partial_fill_rate: Fraction
    time_to_fill_ms: Number
    slippage_vs_mid_bps: Number
    adverse_selection_score: Number
    post_trade_drift_1m: Number
    post_trade_drift_5m: Number
    rejection_rate: Fraction


class RegimeProbability(Section):
    """Probability of each regime."""

    trending: Fraction
    ranging: Fraction
    volatile: Fraction


class EnsembleRegimeClassification(Section):
    """What regime models say."""

    regime_models: Words
    final_regime_probability: RegimeProbability
    regime_transition_probability: Fraction
    regime_stability_score: Number


class AlternativeDataSignals(Section):
    """What other data than candles say."""

    order_flow_imbalance: Number
    options_flow: Number
    funding_rate: Number
    perpetual_basis: Number
    social_sentiment: Number
    whale_activity_score: Number
    exchange_inflow_outflow: Number


class AdversarialAnalysis(Section):
    """Who may be on the other side."""

    adversarial_score: Number
    trap_probability: Fraction
    smart_money_alignment: Number
    similar_patterns_detected: Count
    competitor_activity_level: Number
    unusual_mm_behavior: Flag
    spoofing_detected: Flag


class RiskAllocation(Section):
    """How much to trade, and the limits under which it was tested."""

    kelly_fraction: Fraction
    correlation_adjusted_weight: Number
    regime_adjusted_size: Number
    max_position_size: Share
    """Share of a full position, by the stage."""
    current_allocation: Share
    """Share of a full position, by the stage."""
    var_95: Number
    """Historical, of one day's return, positive when a loss."""
    cvar_95: Number
    """Historical, of one day's return, positive when a loss."""
    position_fraction: float
    """Share of equity in a full position; with leverage, of its margin."""
    direction: Direction
    max_holding_bars: Count
    leverage: Number = Field(default=None, exclude_if=is_none)
    """A position is so many times its margin; absent without leverage."""
    maintenance_rate: Number = Field(default=None, exclude_if=is_none)
    """Share of its value at which it is liquidated; absent without leverage."""


class MarketMicrostructure(Section):
    """The market's frictions."""

    avg_spread_bps: Number
    """EDGE estimate over the history."""
    book_depth_ratio: Number
    book_imbalance: Number
    tick_size_impact: Number
    maker_rebate: Number
    """Fraction of notional that an exit at a target receives; negative: its fee."""
    taker_fee: float
    """Fraction of notional a side."""
    borrow_rate: Number = Field(default=None, exclude_if=is_none)
    """Fraction of notional that a short pays a day; absent where none is charged."""
    slippage: Number = Field(default=None, exclude_if=is_none)
    """Fraction of the price that each fill was assumed to lose; absent of an earlier build."""
    funding_rate: Number = Field(default=None, exclude_if=is_none)
    """Of a perpetual: stands in for each payment that is not known; absent where nothing does."""
    level2_depth_score: Number
    microstructure_noise: Number


class PatternHealth(Section):
    """How the pattern fares after its discovery."""

    months_since_discovery: Annotated[float, Field(ge=0)] | None
    """Null in the stored document; filled in when it is read."""
    performance_degradation: Number
    degradation_velocity: Number
    death_signals: dict[str, bool]
    """By name; empty until monitoring has looked."""
    death_signal_count: Count
    resurrection_score: Number
    correlation_to_other_patterns: Number


class CircuitBreakers(Section):
    """When to stop; null is off."""

    max_daily_loss: Number
    max_correlation_spike: Number
    unusual_market_threshold: Number
    latency_threshold_ms: Number
    consecutive_losses_limit: Count
    max_adverse_selection: Number
    regime_break_threshold: Number


class MetaLearningOutputs(Section):
    """What learning across patterns would add."""

    pattern_failure_predictors: Words
    optimal_market_conditions: dict[str, Scalar] | None
    edge_expiration_estimate: Moment | None
    recommended_alternatives: Words


class StrategyParameter(Section):
    """One parameter, its value, and what a bot does with it."""

    name: str
    kind: Literal["structural", "threshold", "exit"]
    value: Scalar
    """Null where a threshold is off."""
    unit: str
    meaning: str
    comparison: Literal[">=", "<="] | None
    """Of a threshold: how a signal's figure compares with the value. Else null."""
    exit: str | None
    """Of an exit: its role among the exits. Else null."""


class TradedStrategy(Section):
    """What a bot trades; the last four fields are what candles cannot give."""

    word: str
    """What chooses it: strategy=WORD."""
    source: Literal["built-in", "own file"]
    text_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    """SHA-256 of the own file's text in UTF-8; null of a built-in one."""
    parameters: list[StrategyParameter]
    """In the order in which the strategy declares them."""
    indicator_periods: dict[str, int] | None = Field(default=None, exclude_if=is_none)
    """Fixed periods, bars; absent of an own file and of an earlier build."""
    warm_up_bars: Count = Field(default=None, exclude_if=is_none)
    """Candles after which a signal does not depend on where they began; absent as above."""
    smart_money_divergence: Number
    wyckoff_phase_alignment: Number
    news_sentiment_score: Number
    continuation_probability: Fraction


class ConfigurationV3(Section):
    """A trained configuration as live trading reads it."""

    id: Annotated[str, Field(pattern=r"^[A-Z0-9_]+_\d{8}_\d{6}_[0-9a-f]{6}$")]
    pair: str
    pattern: str
    status: Stage
    """The lifecycle stage."""
    metadata: Metadata
    context: Context
    parameters: dict[str, Scalar]
    performance: Performance
    statistical_validation: StatisticalValidation
    in_sample: InSample
    execution_metrics: ExecutionMetrics
    ensemble_regime_classification: EnsembleRegimeClassification
    alternative_data_signals: AlternativeDataSignals
    adversarial_analysis: AdversarialAnalysis
    risk_allocation: RiskAllocation
    market_microstructure: MarketMicrostructure
    pattern_health: PatternHealth
    circuit_breakers: CircuitBreakers
    meta_learning_outputs: MetaLearningOutputs
    strategy: TradedStrategy | None = None
    """Missing in the document of an earlier build."""
