"""Define the requests and their bounds: every list, budget, window and word has an end.

The bounds hold whoever asks. They are wider than anything sensible and narrower than what would
stop the machine; whether a run makes sense is judged by `pipeline.config`, as for a command.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from pipeline.config import Length, Objective, Timeframe
from pipeline.results.rows.listing import SortKey
from pipeline.validation.stages import Stage

#: Markets of one start, and values of one parameter's grid.
LIST_LIMIT = 64
#: Combinations of one search: `pipeline.config.search.PLATEAU_LIMIT`, the most a surface holds.
BUDGET_LIMIT = 10_000_000
#: TPE looks back at every trial before each proposal: ten thousand are an hour.
TRIALS_LIMIT = 100_000

#: No control characters: PostgreSQL stores no NUL, a log has one line an entry, and what turns the
#: direction of writing could make a reason read as another.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"

#: What the patterns of this file mean, for whoever is refused by one.
SHAPES = {PRINTABLE: "printable characters in one line"}


def text_of(pattern: str, meaning: str, **more: Any) -> Any:
    """Return the field of a text of one shape; a refusal says ``meaning``, not the pattern."""
    SHAPES[pattern] = meaning
    return Field(pattern=pattern, **more)


Word = Annotated[str, text_of(r"^[A-Za-z0-9_]{1,64}$", "letters, digits and _, at most 64")]
#: A word of `pipeline.strategies.registry.choices`: no path, for no dot and no slash is in it.
StrategyWord = Annotated[
    str, text_of(r"^[A-Za-z][A-Za-z0-9_-]{0,63}$", "a word of /api/training/choices")
]
#: A name, or a market in one word, which `pipeline.config.market_word` reads.
MarketName = Annotated[
    str,
    text_of(
        r"^([A-Za-z0-9_]{1,64}|[A-Za-z0-9]{1,32}:[A-Za-z0-9:/-]{1,64})$",
        "EXCHANGE:SYMBOL:TIMEFRAME such as okx:DOGE/USDT:30m, or a name of a market such as"
        " btc_binance_1h",
    ),
]
Pair = Annotated[
    str,
    text_of(
        r"^k?[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?$",
        "a pair such as BTC/USDT, or BTC/USDT:USDT of a perpetual",
        examples=["BTC/USDT", "BTC/USDT:USDT"],
    ),
]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=500, pattern=PRINTABLE),
    Field(examples=["fills look right"]),
]
JobId = Annotated[str, text_of(r"^[0-9a-f]{32}$", "32 hexadecimal digits")]
#: As `pipeline.results.document.document.new_configuration_id` makes them.
ConfigurationId = Annotated[
    str,
    text_of(
        r"^[A-Za-z0-9_]{1,40}_[0-9]{8}_[0-9]{6}_[0-9a-f]{6}$",
        "PATTERN_DATE_TIME_HEX, as /api/configurations lists them",
    ),
]
_IDS: dict[str, TypeAdapter[str]] = {
    "configuration": TypeAdapter(ConfigurationId),
    "job": TypeAdapter(JobId),
    "sweep": TypeAdapter(JobId),
}


def is_id(kind: str, word: str) -> bool:
    """Tell whether a word looks like the id of a configuration, a job or a sweep."""
    try:
        _IDS[kind].validate_python(word)
    except ValidationError:
        return False
    return True


#: Rows of a page of a list, and how many come before it.
Limit = Annotated[int, Field(ge=1, le=200)]
Offset = Annotated[int, Field(ge=0, le=10_000_000)]
WindowDays = Annotated[int, Field(ge=1, le=3650)]


def _written_day(value: object) -> object:
    """Refuse what would be converted in silence: seconds since 1970, the time of a moment."""
    if isinstance(value, str | date) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
        return value
    raise ValueError("a day is written as 2024-01-31")


#: JSON has no dates: a text is taken here, and nowhere else.
Day = Annotated[
    date,
    Field(strict=False, ge=date(2009, 1, 3), le=date(2100, 1, 1)),
    BeforeValidator(_written_day, json_schema_input_type=date),
]
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?")


def _written_moment(value: object) -> object:
    """Read a UTC day or moment; nothing else is converted."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return value if value.endswith("Z") else f"{value}T00:00:00Z"
    raise ValueError("a moment is written as 2024-01-31 or 2024-01-31T12:30:00Z")


#: A moment of an address, UTC.
Moment = Annotated[
    datetime,
    Field(strict=False, ge=datetime(2009, 1, 3, tzinfo=UTC), le=datetime(2100, 1, 1, tzinfo=UTC)),
    BeforeValidator(_written_moment, json_schema_input_type=date | datetime),
]
Value = Annotated[float, Field(ge=-1e9, le=1e9)]


class Request(BaseModel):
    """A request: closed, frozen, and nothing converted in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Grid(Request):
    """Every combination of the grid: exact, and the only method with a full score surface."""

    method: Literal["grid"] = "grid"


class Random(Request):
    """Combinations drawn at random, none twice: a first look at a large space."""

    method: Literal["random"]
    samples: Annotated[int, Field(ge=1, le=BUDGET_LIMIT)] = 1000


class Bayesian(Request):
    """Combinations that TPE proposes: fewer evaluations, where each is dear."""

    method: Literal["bayesian"]
    trials: Annotated[int, Field(ge=1, le=TRIALS_LIMIT)] = 200
    batch: Annotated[int, Field(ge=1, le=10_000)] = 20


#: A search method and its budget.
Budget = Annotated[Grid | Random | Bayesian, Field(discriminator="method")]


class LuckTests(Request):
    """How much evidence against luck is gathered (validation rules §3 to §5)."""

    evidence: Literal["full", "deciding"] = "full"


class MovingWindows(LuckTests):
    """Windows that move over the history; days (validation rules §1)."""

    train: WindowDays = 90
    gap: Annotated[int, Field(ge=0, le=3650)] = 7
    test: WindowDays = 30
    step: WindowDays | None = None


class WalkForward(MovingWindows):
    """Every search sees all days before its gap, at most the last ``max_train``."""

    method: Literal["walk_forward"] = "walk_forward"
    max_train: WindowDays | None = 720


class Rolling(MovingWindows):
    """Every search sees the last ``train`` days before its gap."""

    method: Literal["rolling"]


class TrainTestSplit(LuckTests):
    """One search on the first part of the history, tested on the last (validation rules §1.5)."""

    method: Literal["train_test_split"]
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.7
    gap: Annotated[int, Field(ge=0, le=3650)] = 7
    test: WindowDays = 30


class History(Request):
    """Which days to train on: the newest ``days``, or ``since`` (included) ``until`` (not).

    ``length`` is a calendar's, such as ``4y``, and ends at ``until``; ``all`` is all there is.
    Nothing given is the newest year. Invented candles have ``days`` only.
    """

    days: WindowDays | None = None
    length: Annotated[Length, Field(max_length=8, examples=["4y"])] | None = None
    since: Day | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.days is not None and (self.since or self.until or self.length):
            raise ValueError("give days, or since and until, or length and until, not both")
        if self.length is not None and self.since:
            raise ValueError("give length or since, not both: each says where the history begins")
        if self.since and self.until and self.until <= self.since:
            raise ValueError("until must be after since")
        return self


Cost = Annotated[float, Field(ge=0, lt=1)] | None


class TradeCosts(Request):
    """What a trade costs, in fractions of its notional; what is left out is the exchange's.

    ``maker_fee`` is that of an exit at a target, negative for a rebate. ``borrow_rate`` is what a
    short on a spot market pays a day (exits rules §6.4). ``funding_rate`` stands in, every 8 hours,
    where the funding of a perpetual contract is not known.
    """

    fee_rate: Cost = None
    maker_fee: Annotated[float, Field(gt=-1, lt=1)] | None = None
    slippage: Cost = None
    borrow_rate: Cost = None
    funding_rate: Annotated[float, Field(ge=-0.5, le=0.5)] | None = None


class Risk(Request):
    """Which trades are taken and how large they are.

    With ``leverage``, on perpetual contracts alone, a position is so many times its margin and may
    be liquidated (exits rules §8).
    """

    direction: Literal["both", "long", "short"] = "both"
    position_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_holding_bars: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    leverage: Annotated[float, Field(ge=1, le=1000)] | None = None
    maintenance_rate: Cost = None


Share = Annotated[float, Field(ge=0, le=1)] | None
Count = Annotated[int, Field(ge=0)] | None
Size = Annotated[float, Field(ge=0)] | None


class Quality(Request):
    """Largest faults of candles that are let through; what is left out is the exchange's."""

    filled_share: Share = None
    longest_gap_bars: Count = None
    largest_gap_jump: Size = None
    zero_volume_share: Share = None
    flat_share: Share = None
    ohlc_violations: Count = None
    longest_stale_hours: Size = None
    outliers: Count = None
    largest_volume_change: Annotated[float, Field(ge=1)] | None = None
    median_disagreement: Size = None
    largest_disagreement: Size = None


class TrainingRequest(Request):
    """Train one strategy on markets, each a job of its own.

    Markets are named one by one, as in `conf/market` or in one word such as
    ``okx:DOGE/USDT:30m``, or as every combination of ``pairs``, ``exchanges`` and
    ``timeframes``. ``parameters`` replaces the grid of single parameters; null in a grid is
    "off". ``ranges`` replaces low and high of single parameters, for a continuous space. A
    strategy is one of the server's own choices: its code is never part of a request.
    """

    strategy: StrategyWord = "liquidity_sweep"
    markets: Annotated[
        list[MarketName], Field(max_length=LIST_LIMIT, examples=[["demo"], ["okx:DOGE/USDT:30m"]])
    ] = []
    pairs: Annotated[list[Pair], Field(max_length=LIST_LIMIT)] = []
    exchanges: Annotated[list[Word], Field(max_length=LIST_LIMIT)] = []
    timeframes: Annotated[list[Timeframe], Field(max_length=LIST_LIMIT)] = []
    optimizer: Budget = Grid()
    validation: Annotated[WalkForward | Rolling | TrainTestSplit, Field(discriminator="method")] = (
        WalkForward()
    )
    history: History = History()
    quality: Quality = Quality()
    parameters: Annotated[
        dict[Word, Annotated[list[Value | None], Field(min_length=1, max_length=LIST_LIMIT)]],
        Field(max_length=LIST_LIMIT),
    ] = {}
    ranges: Annotated[
        dict[Word, Annotated[list[Value], Field(min_length=2, max_length=2)]],
        Field(max_length=LIST_LIMIT, examples=[{"stop_distance": [0.5, 2.5]}]),
    ] = {}
    costs: TradeCosts = TradeCosts()
    risk: Risk = Risk()
    space: Literal["grid", "continuous"] = "grid"
    objective: Objective = "net_profit"
    selection: Literal["auto", "plateau", "peak"] = "auto"
    min_trades: Annotated[int, Field(ge=0, le=100_000)] = 10
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0

    @model_validator(mode="after")
    def _markets_one_way(self) -> Self:
        product = (self.pairs, self.exchanges, self.timeframes)
        if self.markets and any(product):
            raise ValueError("give markets, or pairs, exchanges and timeframes, not both")
        if not self.markets and not all(product):
            raise ValueError("give markets, or at least one of each: pairs, exchanges, timeframes")
        return self

    @model_validator(mode="after")
    def _ranges_are_searched(self) -> Self:
        if self.ranges and self.space != "continuous":
            raise ValueError("ranges are those of space continuous: give that, or leave them out")
        return self


class ConfigurationFilter(Request):
    """Which stored configurations, and in which order."""

    stage: Stage | None = None
    exchange: Word | None = None
    pair: Pair | None = None
    timeframe: Timeframe | None = None
    strategy: Word | None = None
    job_id: JobId | None = None
    synthetic: bool | None = None
    active: bool | None = None
    sort: SortKey = "created_at"
    descending: bool = True


class ConfigurationQuery(ConfigurationFilter):
    """Which stored configurations, in which order, and which page of them."""

    limit: Limit = 50
    offset: Offset = 0


class HeatmapQuery(Request):
    """A picture of two parameters: best over all others, or a slice at values of the others."""

    x: Word
    y: Word
    mode: Literal["best", "slice"] = "best"
    at: Annotated[dict[Word, Value | None], Field(max_length=LIST_LIMIT)] = {}
    metric: Word = "score"


class ExecutionReport(Request):
    """What live orders of a configuration did; at least one figure.

    ``fill_rate`` is the share of orders filled, ``adverse_selection_score`` 0 (none) to 1,
    ``slippage`` the mean fraction of the price lost against the signal's, negative for gained.
    """

    fill_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    adverse_selection_score: Annotated[float, Field(ge=0, le=1)] | None = None
    slippage: Annotated[float, Field(ge=-1, le=1)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if all(value is None for _, value in self):
            raise ValueError("give fill_rate, adverse_selection_score or slippage")
        return self
