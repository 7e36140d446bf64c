"""Read golden files: backtests computed by an independent program, and their candles."""

import hashlib
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from gpu_engine import (
    METRICS,
    REASONS,
    TRADE,
    Candles,
    Costs,
    Disagreement,
    ExitSettings,
    Funding,
    RiskLimits,
    Window,
)
from pipeline.errors import UserError, suggestion
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.strategies.base import Strategy
from pipeline.strategies.registry import BUILT_IN, load_strategy

#: What a golden file says of a trade; the levels at entry follow from its setting.
TRADE_FIELDS = tuple(name for name in TRADE.names or () if name not in ("stop", "target"))
#: What the older form of the files calls a field.
FORMER_NAMES = {"sweep_bar": "setup_bar"}
EXIT_PARTS = tuple(field.name for field in fields(ExitSettings))


class GoldenCosts(BaseModel):
    """Costs by the golden files' names: ``fee`` per side, ``slippage`` on market orders."""

    fee: float
    slippage: float
    maker_fee: float | None = None
    borrow_rate: float | None = None

    def record(self, funding: Funding | None) -> Costs:
        """Return the engine's record."""
        return Costs(self.fee, self.slippage, self.maker_fee, funding, self.borrow_rate)


class Case(BaseModel):
    """One backtest: a combination, its terms, and the metrics and trades it must give.

    ``strategy`` is named as the page of its rules. ``exit`` is an exit setting (exits rules §2),
    None where the parameters alone say it; ``funding`` says whether that of the file applies.
    """

    model_config = ConfigDict(allow_inf_nan=True)

    strategy: str = "liquidity_sweep_v3"
    parameters: dict[str, float | None]
    exit: dict[str, float] | None = None
    costs: GoldenCosts
    risk: RiskLimits
    funding: bool = False
    start_bar: int
    end_bar: int
    metrics: dict[str, float | None]
    trades: list[list[Any]]

    @model_validator(mode="after")
    def _metrics_exist(self) -> Self:
        unknown = [name for name in self.metrics if name not in (METRICS.names or ())]
        if unknown:
            raise ValueError(f"'{unknown[0]}' is no metric")
        return self

    @model_validator(mode="after")
    def _exit_parts_exist(self) -> Self:
        for name in self.exit or ():
            if name not in EXIT_PARTS:
                raise ValueError(
                    f"'{name}' is not a part of an exit setting ({', '.join(EXIT_PARTS)})."
                    f"{suggestion(name, EXIT_PARTS)}"
                )
        return self

    @property
    def window(self) -> Window:
        """The bars it ran on."""
        return Window(self.start_bar, self.end_bar)

    def expected_metrics(self) -> dict[str, float]:
        """Metrics by name; null in the file is NaN here."""
        return {k: float("nan") if v is None else v for k, v in self.metrics.items()}

    def exit_setting(self) -> ExitSettings:
        """Return ``exit`` as the engine's record."""
        return ExitSettings(**{name: np.array([v]) for name, v in (self.exit or {}).items()})


class Golden(BaseModel):
    """A golden file: ``data`` names a file of candles, or ``candles`` holds them."""

    data: str | None = None
    sha256: str | None = None
    timeframe: str | None = None
    candles: dict[str, list[float]] | None = None
    bars: int | None = None
    first_timestamp: int | None = None
    filled_bars: int | None = None
    funding: list[tuple[int, float]] | None = None
    trade_fields: list[str] = list(TRADE_FIELDS)
    cases: list[Case]

    @model_validator(mode="after")
    def _trades_can_be_read(self) -> Self:
        self.trade_fields = [FORMER_NAMES.get(name, name) for name in self.trade_fields]
        if sorted(self.trade_fields) != sorted(TRADE_FIELDS):
            raise ValueError(f"trade_fields must be {', '.join(TRADE_FIELDS)}, in any order")
        reason = self.trade_fields.index("reason")
        for number, case in enumerate(self.cases):
            for row in case.trades:
                if len(row) != len(self.trade_fields) or row[reason] not in REASONS:
                    raise ValueError(f"cases[{number}] has a trade that cannot be read: {row}")
            if case.funding and self.funding is None:
                raise ValueError(f"cases[{number}] has funding, and the file has no series of it")
        return self

    @model_validator(mode="after")
    def _has_candles(self) -> Self:
        if (self.data is None) == (self.candles is None):
            raise ValueError("either data or candles must be given")
        lengths = {len((self.candles or {}).get(name, ())) for name in COLUMNS}
        if self.candles is not None and (len(lengths) > 1 or 0 in lengths):
            raise ValueError(f"candles must hold {', '.join(COLUMNS)}, all of one length")
        return self

    def costs_of(self, case: Case) -> Costs:
        """Return the costs of one of the cases, with the file's funding where it applies."""
        if not case.funding or self.funding is None:
            return case.costs.record(None)
        times, rates = np.array(self.funding).reshape(-1, 2).T
        return case.costs.record(Funding(times.astype(np.int64), rates))

    def expected_trades(self, case: Case) -> NDArray[Any]:
        """Trades of one of the cases: ``trade_fields`` of the dtype `TRADE`."""
        fields = [(name, TRADE[name]) for name in self.trade_fields]
        result = np.zeros(len(case.trades), fields)
        for name, column in zip(self.trade_fields, zip(*case.trades, strict=True), strict=False):
            result[name] = [REASONS.index(v) for v in column] if name == "reason" else column
        return result


def read_golden(path: Path) -> Golden:
    """Read and check a golden file.

    Raises
    ------
    UserError
        If there is no such file or it is no golden file; it says what is wrong where.
    """
    try:
        return Golden.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path} is not a golden file: {where}: {first['msg']}.") from None


class GoldenCandles(NamedTuple):
    """Candles of a golden file on the regular grid, and where they are not what it says."""

    candles: Candles
    disagreements: list[Disagreement]


def load_candles(golden: Golden, source: str, data: Path | None) -> GoldenCandles:
    """Read the candles of ``golden`` as a training run would, and hold them against its figures.

    Parameters
    ----------
    source : str
        What errors call the golden file.
    data : Path or None
        The folder of its data file; unused when it carries its candles.

    Raises
    ------
    UserError
        If the candles are missing or cannot be laid on a grid.
    """
    disagreements = []
    if golden.data is None:
        assert golden.candles is not None, "checked when it was read"
        columns = [np.array(golden.candles[name], np.float64) for name in COLUMNS[1:]]
        timestamp = np.array(golden.candles[COLUMNS[0]], np.int64)
        raw = RawCandles(timestamp, *columns)
    else:
        if data is None:
            raise UserError(
                f"{source} needs the candles of {golden.data}: give --data FOLDER, where it lies."
            )
        source = str(data / golden.data)
        raw = read_file(source)
        if golden.sha256 is not None:
            digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
            if digest != golden.sha256:
                disagreements.append(Disagreement("sha256", golden.sha256, digest))
    candles, _ = make_regular(raw, _timeframe(golden, raw, source), source)
    measured = {
        "bars": len(candles),
        "first_timestamp": int(candles.timestamp[0]),
        "filled_bars": int(candles.filled.sum()),
    }
    for name, value in measured.items():
        expected = getattr(golden, name)
        if expected is not None and expected != value:
            disagreements.append(Disagreement(name, expected, value))
    return GoldenCandles(candles, disagreements)


def _timeframe(golden: Golden, raw: RawCandles, source: str) -> str:
    """Return the timeframe that the file names, or its data file's name, or the spacing."""
    if golden.timeframe is not None:
        return golden.timeframe
    parts = Path(golden.data or "").stem.split("_")
    named = next((part for part in parts if part in TIMEFRAMES), None)
    return named or inferred_timeframe(raw.timestamp, source)


def strategy_of(case: Case) -> Strategy | None:
    """Return the strategy of a case, by the page of its rules; None where there is none here."""
    known = {word: load_strategy(word) for word in BUILT_IN}
    pages = {strategy.name.lower(): strategy for strategy in known.values()}
    return (known | pages).get(case.strategy.lower())


def combination(
    case: Case, strategy: Strategy, where: str, kinds: Collection[str]
) -> dict[str, float | None]:
    """Every parameter of some kinds; one that can be off and is not named is off.

    Null for what the strategy does not have says what candles cannot give, and is left out.

    Raises
    ------
    UserError
        If the case, which the error calls ``where``, lacks a parameter or has an unknown one.
    """
    declared = [p.name for p in strategy.parameters]
    for name, value in case.parameters.items():
        if name not in declared and value is not None:
            raise UserError(
                f"{where}: '{name}' is not a parameter of {strategy.name}"
                f" ({', '.join(declared)}).{suggestion(name, declared)}"
            )
    of_kinds = [p for p in strategy.parameters if p.kind in kinds]
    for parameter in of_kinds:
        if case.parameters.get(parameter.name) is None and not parameter.nullable:
            raise UserError(f"{where}: parameter '{parameter.name}' must be given a number.")
    return {p.name: case.parameters.get(p.name) for p in of_kinds}
