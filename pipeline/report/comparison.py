"""Set two to six configurations side by side: figures, gates, parameters, settings, days in common.

Figures over days in common are computed here from the stored daily returns; every other is stored.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import Float, Int32, Int64, metrics_of
from pipeline.config import text_hash
from pipeline.report import theme
from pipeline.report.figures import curve, dates, equity_curve, over_time
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.results.records import Configuration, Job
from pipeline.review.gates import FIGURES
from pipeline.validation import wording
from pipeline.validation.pooling import COMMON_DAYS, MarketSeries, correlations
from pipeline.validation.stages import STAGES

#: Configurations that are compared.
LEAST, MOST = 2, 6
LETTERS = "ABCDEF"

#: What the table of correlations says of itself.
CORRELATION = (
    "Correlation of the daily returns of every two, on the days that both have, and how many these"
    f" are. It is “-” under {COMMON_DAYS} days, which say too little, and where one of the two does"
    " not vary."
)

_LINES = tuple(
    zip(
        (theme.OUT_OF_SAMPLE, theme.IN_SAMPLE, theme.GAIN, theme.FOUND, theme.LOSS, theme.MUTED),
        ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot"),
        strict=True,
    )
)
#: Parts of a job's configuration that say what was asked for, and keys of them that say where.
_ASKED = ("data", "validation", "optimizer", "costs", "risk")
_REST = ("space", "objective", "selection", "min_trades", "seed")
_WHERE = frozenset({"data.path", "data.proxy", "data.ca", "validation.memory_gb"})


@dataclass(frozen=True, eq=False)
class Candidate:
    """A configuration, its job, and its days out of sample.

    ``series`` is None where these cannot be had; ``missing`` then says why.
    """

    configuration: Configuration
    job: Job
    series: DailySeries | None
    missing: str = ""

    @property
    def market(self) -> str:
        """``SYNTHETIC binance:BTC/USDT:1h``."""
        row = self.configuration
        return wording.marked(wording.market_name(row), row.synthetic)

    @property
    def short(self) -> str:
        """``BTC/USDT 1h``: a letter stands before it."""
        return f"{self.configuration.pair} {self.configuration.timeframe}"


class Line(NamedTuple):
    """A figure of every candidate, in their order.

    ``values`` are numbers, texts or None where a candidate has none, ``written`` the same in words;
    ``best`` are the places of the better ones, none where nothing can be said or all are alike.
    """

    name: str
    label: str
    values: tuple[Any, ...]
    written: tuple[str, ...]
    best: tuple[int, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether not all are alike."""
        return len(set(self.written)) > 1


class _Figure(NamedTuple):
    """How a figure is called and written, and which is better: 1 the larger, -1 the smaller."""

    name: str
    label: str
    write: Callable[[float], str]
    better: int = 0


_EXCESS = partial(wording.plain, "excess_net_profit")
_OWN_DAYS = (
    _Figure("net_profit", "net profit", wording.percent, 1),
    _Figure("hold_net_profit", "holding the market on the same days", wording.percent),
    _Figure("excess_net_profit", "net profit less holding", _EXCESS, 1),
    _Figure("sharpe_ratio", "Sharpe ratio, annualised", "{:.2f}".format, 1),
)
_DRAWDOWN = (_Figure("max_drawdown", "largest drawdown", wording.share, -1),)
_LUCK = ("p_value", "surrogate_p", "reality_check_p", "fdr_q_value")
_EVIDENCE = (
    _Figure("sample_size", "trades", wording.number),
    _Figure("n_days", "days out of sample", wording.number),
    *(_Figure(name, FIGURES[name].label, wording.number) for name in _LUCK),  # no prizes for p
)
_COMMON = (
    _Figure("common.net_profit", "net profit", wording.percent, 1),
    _Figure("common.hold_net_profit", "holding the market", wording.percent),
    _Figure("common.sharpe_ratio", "Sharpe ratio, annualised", "{:.2f}".format, 1),
    _Figure("common.max_drawdown", "largest drawdown", wording.share, -1),
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates, and what they have in common.

    Attributes
    ----------
    candidates : sequence of Candidate
        `LEAST` to `MOST`, in the order in which they were named.
    refused : mapping of str to str
        Why others that were named are not among them, by id.
    """

    candidates: Sequence[Candidate]
    refused: Mapping[str, str]

    @cached_property
    def common(self) -> Int32:
        """UTC days that every candidate has, int32 (D,), days since the epoch, ascending."""
        days = [one.series.day for one in self.candidates if one.series is not None]
        if len(days) < len(self.candidates):
            return np.empty(0, np.int32)
        return reduce(np.intersect1d, days)

    @cached_property
    def correlation(self) -> tuple[Float, Int64]:
        """Correlation of daily returns and days shared, (M, M); see `pooling.correlations`."""
        none = DailySeries(np.empty(0, np.int32), np.empty(0))
        found = [(one.configuration.pair, one.series or none) for one in self.candidates]
        return correlations([MarketSeries(pair, s.day, s.returns) for pair, s in found])

    @cached_property
    def same_days(self) -> bool:
        """Whether all have the very same days out of sample."""
        series = [one.series for one in self.candidates]
        return all(one is not None and len(one.day) == len(self.common) for one in series)

    def figures(self) -> list[Line]:
        """Set the figures beside each other, those over each one's own days first.

        Of these none is better unless the days are the same.
        """
        rows = [one.configuration for one in self.candidates]
        stages = [row.lifecycle_stage for row in rows]
        ranks = [float(STAGES.index(stage)) for stage in stages]
        labels = tuple(wording.marked(row.lifecycle_stage, row.synthetic) for row in rows)
        sizes = tuple(row.position_size for row in rows)
        return [
            Line("stage", "stage", tuple(stages), labels, self._best(ranks, 1)),
            Line("size", "size", sizes, tuple(f"{size:g}" for size in sizes)),
            Line(
                "beats_luck",
                "beats luck",
                tuple(row.luck.answer for row in rows),
                tuple(f"{row.luck.answer}: {row.luck.reason}" for row in rows),
            ),
            *self._lines(_OWN_DAYS, [_own(row) for row in rows], marks=self.same_days),
            self._intervals(),
            *self._lines(_DRAWDOWN, [row.out_of_sample for row in rows], marks=self.same_days),
            *self._lines(_EVIDENCE, [row.judged_figures for row in rows]),
        ]

    def on_common_days(self) -> list[Line]:
        """Compute figures over the days that all have; empty where there is none."""
        if not len(self.common):
            return []
        return list(self._lines(_COMMON, [_over(one, self.common) for one in self.candidates]))

    def gates(self) -> list[Line]:
        """Set the outcomes of the gates beside each other."""
        words = {True: "passed", False: "failed", None: "skipped"}
        rows = [one.configuration.gates for one in self.candidates]
        stored = [{_gate(gate): words[gate["passed"]] for gate in row} for row in rows]
        said = wording.outcome
        shown = [{_gate(g): said(words[g["passed"]], g["value"]) for g in row} for row in rows]
        lines = zip(_texts(stored), _texts(shown), strict=True)
        return [line._replace(written=other.written) for line, other in lines]

    def parameters(self) -> list[Line]:
        """Set the stored parameters beside each other."""
        stored = [one.configuration.parameters for one in self.candidates]
        return [
            Line(
                name,
                name,
                tuple(parameters.get(name) for parameters in stored),
                tuple(wording.setting(p[name]) if name in p else "-" for p in stored),
            )
            for name in _names(stored)
        ]

    def settings(self) -> list[Line]:
        """Set what was asked for beside each other, what differs first."""
        lines = _texts([dict(_settings(one)) for one in self.candidates])
        return sorted(lines, key=lambda line: not line.differs)

    def remarks(self) -> list[str]:
        """Say what a reader must know before the figures, besides `invented`."""
        return [*self._strategies(), *self._on_which_days(), *self._missing()]

    @property
    def invented(self) -> str | None:
        """Say which are of invented candles; None where none is."""
        rows = [one.configuration for one in self.candidates]
        invented = [letter for letter, row in zip(LETTERS, rows, strict=False) if row.synthetic]
        if not invented:
            return None
        verb, mixed = "is" if len(invented) == 1 else "are", len(invented) < len(rows)
        others = " Not all are of the same candles." if self._inventions > 1 else ""
        return (
            f"{_and(invented)} {verb} of invented candles (SYNTHETIC): these figures say nothing"
            f" about a market{', and are never called better' if mixed else ''}.{others}"
        )

    @property
    def _inventions(self) -> int:
        """How many invented histories there are: an edge is planted for each strategy."""
        rows = [one.configuration for one in self.candidates]
        return len({row.provenance.get("data_hash") for row in rows if row.synthetic})

    def _strategies(self) -> Iterator[str]:
        strategies = [one.configuration.strategy for one in self.candidates]
        if len(set(strategies)) > 1:
            yield (
                f"The strategies differ: {_lettered(strategies)}. A parameter that a strategy does"
                " not have is “-”."
            )

    def _on_which_days(self) -> Iterator[str]:
        days = [one.series.day for one in self.candidates if one.series is not None]
        if self.same_days or len(days) < len(self.candidates):
            return
        spans = [f"{dates(day[:1])[0]} to {dates(day[-1:])[0]}" for day in days]
        yield f"The days out of sample differ: {_lettered(spans)} (UTC)."
        if len(self.common):
            yield (
                f"{wording.plural(len(self.common), 'day')} are common to all. The curves, and the"
                " table “On common days”, are of these alone; other days are left out of them."
            )
        else:
            yield (
                "No day is common to all. Each curve is over its own days, from zero, and no"
                " profit, Sharpe ratio or drawdown is called better."
            )

    def _missing(self) -> Iterator[str]:
        for letter, one in zip(LETTERS, self.candidates, strict=False):
            if one.missing:
                yield f"{letter} has no curve. {one.missing}"

    def _intervals(self) -> Line:
        found = [one.configuration.statistics.get("sharpe_interval") for one in self.candidates]
        written = [f"{one['low']:.2f} to {one['high']:.2f}" if one else "-" for one in found]
        return Line("sharpe_interval", "its 95 % interval", tuple(found), tuple(written))

    def _lines(
        self, asked: Sequence[_Figure], sources: Sequence[Mapping[str, Any]], *, marks: bool = True
    ) -> Iterator[Line]:
        for name, label, write, better in asked:
            known = [source.get(name) for source in sources]
            values = [float(v) if v is not None and np.isfinite(v) else None for v in known]
            written = tuple("-" if value is None else write(value) for value in values)
            best = self._best(values, better) if marks and better else ()
            yield Line(name, label, tuple(values), written, best)

    def _best(self, values: Sequence[float | None], better: int) -> tuple[int, ...]:
        """Return the places of the better values; invented candles never beat real ones."""
        real = [
            place for place, one in enumerate(self.candidates) if not one.configuration.synthetic
        ]
        if not real and self._inventions > 1:
            return ()
        places = real or range(len(values))
        known = {place: v * better for place in places if (v := values[place]) is not None}
        if len(known) < LEAST or len(set(known.values())) < 2:
            return ()
        return tuple(place for place, value in known.items() if value == max(known.values()))


def curves(comparison: Comparison) -> theme.Figure:
    """Return the net profit of all on the days in common; where there is none on each one's own.

    Each begins at 0, at the end of the day before its first.
    """
    data, strategies = [], {one.configuration.strategy for one in comparison.candidates}
    for place, (one, (color, dash)) in enumerate(zip(comparison.candidates, _LINES, strict=False)):
        if one.series is None:
            continue
        day = comparison.common if len(comparison.common) else one.series.day
        returns = one.series.returns[np.searchsorted(one.series.day, day)]
        data.append(
            curve(
                f"{LETTERS[place]}: {one.market}"
                + (f" {one.configuration.strategy}" if len(strategies) > 1 else ""),
                dates(np.append(day[:1] - 1, day)),
                [0.0, *(equity_curve(returns) - 1.0).tolist()],
                {"color": color, "dash": dash, "width": 2},
                f"{LETTERS[place]}: %{{y:,.1%}}<extra></extra>",
            )
        )
    return over_time(data, "net profit since the start", showlegend=True)


def _gate(gate: Mapping[str, Any]) -> str:
    """``p-value of the days out of sample (for MATURE)``."""
    name, stage = gate["name"], gate["stage"]
    label = FIGURES[name].label if name in FIGURES else name
    return f"{label} ({'for MATURE' if stage == 'MATURE' else f'to leave {stage}'})"


def _own(row: Configuration) -> dict[str, Any]:
    hold = row.statistics.get("hold") or {}
    return row.out_of_sample | {
        "hold_net_profit": hold.get("net_profit"),
        "excess_net_profit": row.statistics.get("excess_net_profit"),
    }


def _over(one: Candidate, day: Int32) -> dict[str, Any]:
    """Compute metrics over some days of a series (fills rules §10)."""
    assert one.series is not None, "days in common are of all"
    places = np.searchsorted(one.series.day, day)
    returns = one.series.returns[places]
    metrics = metrics_of(returns, returns)
    found = {f"common.{n}": metrics[n] for n in ("net_profit", "sharpe_ratio", "max_drawdown")}
    if one.series.hold is not None:
        found["common.hold_net_profit"] = np.prod(1.0 + one.series.hold[places]) - 1.0
    return found


def _settings(one: Candidate) -> Iterator[tuple[str, str]]:
    config, provenance, setting = one.job.config, one.configuration.provenance, wording.setting
    yield "strategy", one.configuration.strategy
    if digest := text_hash(config["strategy"].get("text")):
        yield "strategy, SHA-256 of its file", digest
    yield "candles", f"{provenance['first_candle'][:10]} to {provenance['last_candle'][:10]}"
    for section in _ASKED:
        yield from _flat(config.get(section) or {}, section)
    for name in _REST:
        yield name, _text(config.get(name))
    for name, parameter in config["strategy"].get("parameters", {}).items():
        ranged = config["space"] == "continuous" and parameter.get("low") is not None
        span = f"{setting(parameter['low'])} to {setting(parameter['high'])}" if ranged else ""
        yield (f"searched: {name}", span or ", ".join(map(setting, parameter.get("grid") or ())))


def _flat(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        path = f"{above}.{name}"
        if path in _WHERE:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        else:
            yield path, _text(value)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)


def _texts(sources: Sequence[Mapping[str, str]]) -> Iterator[Line]:
    for name in _names(sources):
        written = tuple(source.get(name, "-") for source in sources)
        yield Line(name, name, tuple(source.get(name) for source in sources), written)


def _names(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for source in sources for name in source))


def _lettered(words: Sequence[str]) -> str:
    return ", ".join(f"{letter} {word}" for letter, word in zip(LETTERS, words, strict=False))


def _and(letters: Sequence[str]) -> str:
    *before, last = letters
    return f"{', '.join(before)} and {last}" if before else last
