"""Train on candles at hand and return the verdict with the figures of the report."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gpu_engine import Candles
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.lab.candles import checked, write
from pipeline.lab.simulation import equity_series, trades_frame
from pipeline.lab.strategy import check_names, strategy_of
from pipeline.market_data.timeframe import timeframe_name
from pipeline.results.document.document import new_configuration_id
from pipeline.review.explanation import Explanation, explain
from pipeline.training import run
from pipeline.training.record import configuration_of, metrics_dict, window_records

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a training found out, with the figures of the report.

    Attributes
    ----------
    stage : str
        PAPER, DISCOVERY, VALIDATION or MATURE (validation rules §4); None where nothing was found.
    size : float
        Share of the full position that the stage allows.
    sentence : str
        The verdict in words.
    parameters : dict of str to value, or None
        The combination that is chosen; None when none was admissible.
    gates : DataFrame
        One row a gate: ``stage``, ``name``, ``value``, ``comparison``, ``threshold``, ``outcome``
        and the ``sentence`` that says it.
    why, caveats : tuple of str
        What would move the stage and what is known; what the figures do not prove.
    statistics : dict
        Validation rules §3.
    metrics : dict
        Out of sample, marked to market (`METRICS`).
    windows : DataFrame
        One row a window: its days, winner, score and both parts' metrics as
        ``in_sample.NAME`` and ``out_of_sample.NAME``.
    equity : Series of float64
        Out of sample, at the close of every tested UTC day; 1 before the first.
    trades : DataFrame
        Out of sample, as `Backtest.trades`.
    explanation : Explanation
        All sentences of scripts/explain.
    """

    stage: str | None
    size: float
    sentence: str
    parameters: dict[str, Any] | None
    gates: pd.DataFrame
    why: tuple[str, ...]
    caveats: tuple[str, ...]
    statistics: dict[str, Any]
    metrics: dict[str, Any]
    windows: pd.DataFrame
    equity: pd.Series
    trades: pd.DataFrame
    explanation: Explanation

    def __repr__(self) -> str:
        return "\n".join((self.sentence, *(f"- {line}" for line in self.why)))

    def _repr_html_(self) -> str:
        shown = self.gates[["stage", "name", "value", "threshold", "outcome"]]
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.why)
        doubts = "".join(f"<li>{html.escape(line)}</li>" for line in self.caveats)
        return (
            f"<p><b>{html.escape(self.sentence)}</b></p><ul>{lines}</ul>"
            f"{shown.to_html(index=False, na_rep='')}<p>Not proven:</p><ul>{doubts}</ul>"
        )


def train(
    candles: Candles, strategy: str | Path, *words: str, synthetic: bool = False, **ranges: Any
) -> Verdict:
    """Train as `scripts/train` does, and keep nothing in a database.

    Parameters
    ----------
    candles : Candles
        See `pipeline.lab.candles`.
    strategy : str or Path
        A built-in word or a file. A class of the notebook is refused: a verdict hangs on the
        strategy's text, which other processes run too, so it must be a file that stands alone.
    *words : str
        ``KEY=VALUE`` as on the command line: ``"optimizer=random"``, ``"validation.train=120"``,
        ``"costs.fee_rate=0.0004"``. Without ``market=`` the candles are of a market ``OWN`` with
        the costs of Binance.
    synthetic : bool
        Say True where the candles are invented, which arrays do not show: as for ``market=demo``
        the verdict is SYNTHETIC then, and its size is 0. A surrogate among ``words`` is known.
    **ranges : number, str, list or None
        Values of parameters, as in `grid`.

    Raises
    ------
    UserError
        As `scripts/train`: a history too short, look-ahead, a value that cannot be.
    """
    if not isinstance(strategy, str | Path):
        raise UserError(
            "A verdict hangs on the strategy's text, so train takes a file: write the class into"
            " my_strategy.py with STRATEGY = YourClass() as its last line, and give its path."
        )
    check_names(strategy_of(strategy), ranges)
    for word in words:
        if not isinstance(word, str):
            raise UserError(f'A word must be a text such as "seed=3"; given: {word}.')
    if not isinstance(synthetic, bool):
        raise UserError(f"synthetic must be True or False; given: {synthetic}.")
    market = any(word.startswith("market=") for word in words)
    chosen = () if market else ("market=btc_binance_1h", "market.base=OWN")
    typed = (f"strategy.parameters.{name}={_word(value)}" for name, value in ranges.items())
    with TemporaryDirectory() as folder:
        file = Path(folder) / "candles.parquet"
        write(checked(candles), file)
        config = load(
            [
                *chosen,
                f"market.timeframe={timeframe_name(candles.step_ms)}",
                f"strategy={strategy}",
                "data=file",
                f"data.path='{file}'",
                *typed,
                *words,
            ],
            TrainConfig,
            "train",
        )
        trained = run.train(config, run.Reporter())
        marked = replace(trained.market, synthetic=synthetic or trained.market.synthetic)
        return _verdict(replace(trained, market=marked))


def _word(value: Any) -> str:
    """Write a value as a word has it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"'{value}'"
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return f"[{','.join(_word(item) for item in value)}]"
    return str(value)


def _verdict(trained: run.TrainingResult) -> Verdict:
    import pandas as pd

    searched = math.prod(len(values) for values in trained.axes.values())
    size = searched if trained.settings.method == "grid" else None
    now = datetime.now(UTC)
    row = configuration_of(trained, new_configuration_id(trained.strategy, now), "", now)
    explained = explain(row, (), size)
    validation = trained.validation
    nothing = trained.parameters is None
    return Verdict(
        stage=None if nothing else str(explained.stage),
        size=0.0 if nothing else explained.size,
        sentence="No combination was admissible: there is nothing to judge."
        if nothing
        else explained.verdict,
        parameters=trained.parameters,
        gates=pd.DataFrame([gate.__dict__ for gate in explained.gates]),
        why=(*explained.moves, *explained.facts),
        caveats=explained.caveats,
        statistics=explained.statistics,
        metrics=metrics_dict(validation.metrics) or {},
        windows=pd.json_normalize(window_records(trained)),
        equity=equity_series(validation.day, validation.daily),
        trades=trades_frame(trained.market.candles, validation.trades),
        explanation=explained,
    )
