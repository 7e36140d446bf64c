"""Add up the outcomes: sizes in each cell, power for each edge, and what else could decide."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.studies.calibrate.markets import CONTROLS, KINDS, STRICT, Cell, Edge, Kind, Market
from pipeline.studies.calibrate.measure import Figures, Outcome
from pipeline.studies.calibrate.rates import Rate, false_discovery_rate
from pipeline.validation.stages import STAGES, Stage, judge, position_size

#: Stages that an error rate is about, and those for which validation rules §6.9 promises one.
LEVELS: tuple[Stage, ...] = ("DISCOVERY", "VALIDATION", "MATURE")
PROMISED: dict[Stage, float] = {"VALIDATION": 0.05, "MATURE": 0.01}

#: Shares of markets with a true edge for which false discoveries are worked out.
TRUE_SHARES = (0.01, 0.05, 0.10)


def _below(figures: Figures, name: str) -> bool:
    value = figures.get(name)
    return value is not None and value < 0.05


def _meets_the_rest(figures: Figures) -> bool:
    """Whether net profit, Sharpe ratio, trades and holding allow VALIDATION, whatever p says."""
    best = {**figures, "surrogate_p": 0.0, "p_value": 0.0}
    return judge(best)[0] in ("VALIDATION", "MATURE")


#: Tests that could decide VALIDATION; all ask the same of everything else.
CANDIDATES: Mapping[str, Callable[[Figures], bool]] = {
    "A: p_value < 0.05": lambda f: _below(f, "p_value"),
    "B: both": lambda f: _below(f, "p_value") and _below(f, "surrogate_p"),
    "C: surrogate_p < 0.05": lambda f: _below(f, "surrogate_p"),
}


@dataclass(frozen=True)
class Group:
    """Outcomes of one kind in one cell, or of one planted edge.

    ``kind`` is None for all strict nulls of a cell together. ``out_of_reach`` counts seeds whose
    candles could not carry the edge; they are no outcomes.
    """

    kind: Kind | None
    cell: Cell
    edge: Edge | None
    outcomes: tuple[Outcome, ...]
    out_of_reach: int = 0

    def figures(self) -> list[Figures]:
        """Figures of every outcome."""
        return [o.figures for o in self.outcomes if o.figures is not None]

    def stages(self) -> dict[str, int]:
        """Markets in each stage, lowest stage first."""
        counts = Counter(outcome.stage for outcome in self.outcomes)
        return {stage: counts[stage] for stage in STAGES if stage != "DECAY"}

    def reached(self, level: Stage) -> Rate:
        """Markets in the stage ``level`` or a better one."""
        stages = self.stages()
        better = STAGES[STAGES.index(level) :]
        return Rate(sum(stages[stage] for stage in better), len(self.outcomes))

    def traded(self) -> Rate:
        """Markets whose stage has a size above 0, were their candles real."""
        sizes = [position_size(*judge(figures), synthetic=False) for figures in self.figures()]
        return Rate(sum(size > 0 for size in sizes), len(sizes))

    def candidates(self) -> dict[str, Rate]:
        """Markets that each of `CANDIDATES` would call VALIDATION or better."""
        rest = [figures for figures in self.figures() if _meets_the_rest(figures)]
        return {
            name: Rate(sum(map(passes, rest)), len(self.outcomes))
            for name, passes in CANDIDATES.items()
        }

    def known_rule(self) -> Rate:
        """Markets on whose out-of-sample days the planted combination itself has p < 0.05."""
        planted = [o.planted for o in self.outcomes if o.planted is not None]
        return Rate(sum(_below(figures, "p_value") for figures in planted), len(planted))

    def oos_sharpe(self) -> tuple[float, float, float]:
        """Quartiles of the annualised out-of-sample Sharpe ratio, net of costs."""
        values = [figures.get("sharpe_ratio") or 0.0 for figures in self.figures()]
        low, median, high = np.percentile(values, (25, 50, 75))
        return float(low), float(median), float(high)

    def median(self, name: str) -> float | None:
        """Median of a figure over the markets that have it."""
        values = [v for f in self.figures() if (v := f.get(name)) is not None]
        return float(np.median(values)) if values else None

    def planted_sharpe(self) -> float | None:
        """Median of the Sharpe ratio that the planted combinations have, net, over all days."""
        values = [o.planted["sharpe_ratio"] for o in self.outcomes if o.planted is not None]
        return float(np.median([v for v in values if v is not None])) if values else None

    def seconds(self) -> float:
        """Median processor time of one market."""
        return float(np.median([outcome.seconds for outcome in self.outcomes]))


@dataclass(frozen=True)
class Calibration:
    """All groups of one calibration: cells and kinds in their order, edges as planned.

    ``strict`` holds all strict nulls of each cell together, which ``nulls`` has kind by kind.
    """

    strict: tuple[Group, ...]
    nulls: tuple[Group, ...]
    controls: tuple[Group, ...]
    planted: tuple[Group, ...]

    def groups(self) -> tuple[Group, ...]:
        """Every group once; each outcome is in one of them."""
        return (*self.nulls, *self.controls, *self.planted)

    @property
    def strategies(self) -> list[str]:
        """Names of the strategies, in their order."""
        return list(dict.fromkeys(group.cell.strategy for group in self.groups()))

    def of(self, strategy: str) -> "Calibration":
        """Return the groups of one strategy."""
        parts = (self.strict, self.nulls, self.controls, self.planted)
        own = (tuple(g for g in part if g.cell.strategy == strategy) for part in parts)
        return Calibration(*own)

    def together(self, strategy: str) -> Group:
        """Return the strict nulls of all cells of a strategy as one group."""
        outcomes = tuple(o for group in self.of(strategy).strict for o in group.outcomes)
        return Group(None, Cell("", "none", strategy), None, outcomes)

    def name_of(self, group: Group) -> str:
        """Say in words what is in the markets of a group; of several strategies also which."""
        strategy = f"{group.cell.strategy}, " if len(self.strategies) > 1 else ""
        if group.edge is not None:
            return f"{strategy}{group.edge.in_words} ({group.cell.timeframe})"
        kinds = {
            None: "no edge",
            "real": "real candles as they are",
            "reversed": "real candles read backwards",
        }
        return f"{strategy}{kinds.get(group.kind, group.kind)}: {group.cell}"

    def worst(self, level: Stage, strategy: str) -> Rate | None:
        """Return false positives of that cell of a strategy with the largest share of them."""
        rates = [group.reached(level) for group in self.of(strategy).strict]
        return max(rates, key=lambda rate: rate.count / rate.total, default=None)

    def false_discoveries(self, level: Stage, group: Group) -> list[dict[str, float | None]]:
        """False-discovery rate at ``level`` for each of `TRUE_SHARES`.

        ``rate`` takes the false positives of the strategy's worst cell as they were counted,
        ``rate_upper`` the upper end of their interval; both take the power as it was counted.
        """
        null, power = self.worst(level, group.cell.strategy), group.reached(level).share
        if null is None or null.share is None or power is None:
            return []
        return [
            {
                "true_share": share,
                "rate": false_discovery_rate(share, null.share, power),
                "rate_upper": false_discovery_rate(share, null.interval[1], power),
            }
            for share in TRUE_SHARES
        ]

    def seconds(self) -> float:
        """Processor time of all workers added up."""
        return sum(outcome.seconds for group in self.groups() for outcome in group.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "strict": [_group_dict(group) for group in self.strict],
            "null": [_group_dict(group) for group in self.nulls],
            "controls": [_group_dict(group) for group in self.controls],
            "planted": [
                {
                    **_group_dict(group),
                    "known_rule": _rate_dict(group.known_rule()),
                    "planted_sharpe": group.planted_sharpe(),
                    "false_discoveries": {
                        level: self.false_discoveries(level, group) for level in PROMISED
                    },
                }
                for group in self.planted
            ],
            "processor_seconds": round(self.seconds(), 1),
        }


def summarise(outcomes: Mapping[Market, Outcome]) -> Calibration:
    """Group outcomes by cell, kind and edge, in the order in which they are given."""
    groups: dict[tuple[Kind, Cell, Edge | None], list[Outcome]] = {}
    for market, outcome in outcomes.items():
        groups.setdefault((market.kind, market.cell, market.edge), []).append(outcome)
    made = [_group(*key, members) for key, members in groups.items()]
    cells = list(dict.fromkeys(group.cell for group in made))
    made.sort(key=lambda group: (cells.index(group.cell), KINDS.index(group.kind or "planted")))
    strict = [_together(cell, (g for g in made if g.kind in STRICT)) for cell in cells]
    return Calibration(
        strict=tuple(group for group in strict if group.outcomes),
        nulls=tuple(g for g in made if g.kind not in (*CONTROLS, "planted")),
        controls=tuple(group for group in made if group.kind in CONTROLS),
        planted=tuple(group for group in made if group.kind == "planted"),
    )


def _group(kind: Kind, cell: Cell, edge: Edge | None, members: list[Outcome]) -> Group:
    carried = tuple(outcome for outcome in members if outcome.figures is not None)
    return Group(kind, cell, edge, carried, len(members) - len(carried))


def _together(cell: Cell, groups: Iterable[Group]) -> Group:
    members = [outcome for group in groups if group.cell == cell for outcome in group.outcomes]
    return Group(None, cell, None, tuple(members))


def _group_dict(group: Group) -> dict[str, Any]:
    low, median, high = group.oos_sharpe()
    return {
        "kind": group.kind or "all strict",
        "cell": group.cell._asdict(),
        "edge": None if group.edge is None else group.edge._asdict(),
        "markets": len(group.outcomes),
        "out_of_reach": group.out_of_reach,
        "stages": group.stages(),
        "at_least": {level: _rate_dict(group.reached(level)) for level in LEVELS},
        "size_above_0": _rate_dict(group.traded()),
        "candidates": {name: _rate_dict(rate) for name, rate in group.candidates().items()},
        "oos_sharpe": {"lower_quartile": low, "median": median, "upper_quartile": high},
        "median_trades": group.median("sample_size"),
        "median_surrogates": group.median("surrogates"),
        "median_seconds": group.seconds(),
    }


def _rate_dict(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {"count": rate.count, "share": rate.share, "interval": [low, high]}
