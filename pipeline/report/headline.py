"""Lay out what a reader sees first: six figures of a configuration and a small equity curve."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import Float
from pipeline.report.figures import dates, equity_curve
from pipeline.results.artifacts import DailySeries
from pipeline.results.live import PaperAccount
from pipeline.results.records import MONITOR, Configuration, ConfigurationEvent
from pipeline.review.explanation import Explanation
from pipeline.validation.stages import LEVEL, REQUIREMENTS, WATCHED, beats_luck, gates_from
from pipeline.validation.wording import number, percent, plural, share

#: Trades out of sample that DISCOVERY asks for (validation rules §6.3).
_TRADES = next(
    int(r.threshold) for r in REQUIREMENTS if (r.stage, r.name) == ("DISCOVERY", "sample_size")
)
#: Gates without which the search is not held against luck (validation rules §5.7).
_BEFORE_LUCK = {
    "net_profit": "it lost",
    "sharpe_ratio": "its Sharpe ratio is too low",
    "fill_rate": "too few orders were filled",
    "alpha_p": "holding explains what it earned",
}
_UNDEFINED = "its alpha is undefined: its days or the market's hardly vary, or are too few"
#: What is asked by a search that is repeated.
_SEARCH = "search against candles without an edge"
#: The smallest p-value that is written with its digits.
_SMALLEST = 0.001
#: Size of the curve in its own units, and points of which it consists at most.
WIDTH, HEIGHT, _POINTS = 320.0, 120.0, 240


class Remark(NamedTuple):
    """A sentence beside a figure; ``outcome`` is that of a gate: passed, failed or skipped."""

    outcome: str
    sentence: str


class Tile(NamedTuple):
    """One figure: what it is, its value in words, and what to think of it."""

    label: str
    value: str
    remarks: tuple[Remark, ...]


class Line(NamedTuple):
    """A series of the small curve: its name with its end, and SVG points."""

    name: str
    points: str


class Sparkline(NamedTuple):
    """The small equity curve: its lines, the height of no profit, and what its edges are.

    ``top`` and ``bottom`` are profits in words, ``first`` and ``last`` ISO 8601 dates in UTC.
    """

    lines: tuple[Line, ...]
    zero: float
    top: str
    bottom: str
    first: str
    last: str


def tiles(configuration: Configuration, explanation: Explanation) -> tuple[Tile, ...]:
    """Return the six figures, out of sample: profit, Sharpe ratio, drawdown, trades, p, luck."""
    oos, statistics = configuration.out_of_sample, configuration.statistics
    hold = statistics.get("hold") or {}
    return (
        Tile("Net profit", percent(oos["net_profit"]), tuple(_profit(oos, hold))),
        Tile("Sharpe ratio, a year", number(oos["sharpe_ratio"]), tuple(_interval(statistics))),
        Tile("Largest drawdown", share(oos["max_drawdown"]), tuple(_drawdown(oos, hold))),
        Tile("Trades", f"{oos['sample_size']:,}", tuple(_trades(oos))),
        Tile("p-value of its days", _small(statistics.get("p_value")), tuple(_p_value(statistics))),
        _luck(configuration, explanation),
    )


def sentence(explanation: Explanation) -> str:
    """Return the verdict without the badge and the size that it begins with."""
    prefix = f"{explanation.badge}, size {explanation.size:g}: "
    said = explanation.verdict.removeprefix(prefix)
    if explanation.synthetic:
        return f"On invented candles {said}"
    return said[0].upper() + said[1:]


def period(daily: DailySeries | None, explanation: Explanation) -> str:
    """Say on which days the figures came out, and that a fallen stage rests on newer ones."""
    ends = [] if daily is None or not len(daily.day) else dates(daily.day[[0, -1]])
    days = f", {' to '.join(ends)} UTC" if ends else ""
    if explanation.stage == "DECAY":
        return f"Figures of before it stopped: days that no search had seen{days}."
    return f"Out of sample: days that no search had seen{days}."


def newer_days(
    events: Sequence[ConfigurationEvent], paper: PaperAccount | None
) -> Iterator[tuple[str, str]]:
    """Yield what was measured on days after those of the figures: where, and what came of it."""
    looks = [event.figures for event in events if event.kind == MONITOR and "new" in event.figures]
    if looks:
        new, ends = looks[-1]["new"], f"{looks[-1]['first_day']} to {looks[-1]['last_day']}"
        yield (
            f"Newer candles, {ends} UTC",
            f"net {percent(new['net_profit'])}, Sharpe ratio {number(new['sharpe_ratio'])},"
            f" drawdown {share(new['max_drawdown'])}, {plural(int(new['sample_size']), 'trade')}"
            f" in {plural(int(new['n_days']), 'day')}",
        )
    if paper is not None and paper.through is not None:
        days = (paper.through - paper.first_candle).days
        yield (
            f"Paper account, {paper.first_candle:%Y-%m-%d} to {paper.through:%Y-%m-%d} UTC",
            f"net {percent(paper.equity - 1.0)}, {plural(paper.trades, 'trade')} in"
            f" {plural(days, 'day')}",
        )


def _small(p: float | None) -> str:
    """Write a p-value; below a thousandth nobody needs its digits."""
    return number(p) if p is None or p >= _SMALLEST else f"below {_SMALLEST:g}"


def _verdict(passed: bool, sentence: str) -> Remark:
    return Remark("passed" if passed else "failed", sentence)


def _profit(oos: Mapping[str, Any], hold: Mapping[str, Any]) -> Iterator[Remark]:
    net = oos["net_profit"]
    yield _verdict(net > 0.0, "it earned" if net > 0.0 else "it did not earn")
    if not hold:
        yield Remark("skipped", "holding is not known")
        return
    points = 100.0 * (net - hold["net_profit"])
    than = "more" if points > 0.0 else "less"
    made = percent(hold["net_profit"])
    said = f"{abs(points):,.1f} points {than} than holding, which made {made}"
    # To lose less than the market is no praise of what lost.
    yield Remark("skipped", said) if net <= 0.0 < points else _verdict(points > 0.0, said)


def _interval(statistics: Mapping[str, Any]) -> Iterator[Remark]:
    interval = statistics.get("sharpe_interval")
    if interval is None:
        yield Remark("skipped", "its 95 % interval is undefined")
        return
    low, high = interval["low"], interval["high"]
    within = " (0 is in it)" if low <= 0.0 <= high else ""
    yield _verdict(low > 0.0, f"95 % interval: {low:.2f} to {high:.2f}{within}")


def _drawdown(oos: Mapping[str, Any], hold: Mapping[str, Any]) -> Iterator[Remark]:
    yield Remark("skipped", "open positions valued every day")
    if hold:
        less = oos["max_drawdown"] < hold["max_drawdown"]
        said = f"{'less' if less else 'not less'} than holding, which lost"
        yield _verdict(less, f"{said} up to {share(hold['max_drawdown'])}")


def _trades(oos: Mapping[str, Any]) -> Iterator[Remark]:
    many = oos["sample_size"] >= _TRADES
    yield Remark("skipped", f"in {plural(int(oos['n_days']), 'day')}")
    yield _verdict(many, "enough to judge" if many else f"too few: at least {_TRADES} are needed")


def _p_value(statistics: Mapping[str, Any]) -> Iterator[Remark]:
    p = statistics.get("p_value")
    if p is None:
        yield Remark("skipped", "undefined: its days do not vary")
        return
    cases = f"{1000 * p:.0f} of 1,000" if p < 0.1 else f"{100 * p:.0f} of 100"
    if p < _SMALLEST:
        cases = f"fewer than 1 of {1 / _SMALLEST:,.0f}"
    yield _verdict(p < LEVEL, f"days without an edge do as well in {cases} cases")


def _luck(configuration: Configuration, explanation: Explanation) -> Tile:
    """Say whether days and search were shown to beat luck, and by which tests."""
    # Of two gates of one figure the lower one decides what is tested: it comes first.
    gates = {gate.name: gate for gate in reversed(explanation.gates)}
    answer = beats_luck(gates_from(configuration.gates))
    watched, search = gates.get(WATCHED), gates.get("surrogate_p")
    if watched is not None and watched.outcome == "passed":
        remark = Remark("passed", f"days watched on paper show it: p {_small(watched.value)}")
        return Tile("Shown to beat luck?", answer, (remark,))
    remarks = []
    if answer == "no":
        remarks.append(
            Remark("failed", f"no proof: luck does as well too often (p {LEVEL} or more)")
        )
    tested = search is not None and search.value is not None
    tests = {"surrogate_p": _SEARCH} if tested else {}
    tests |= {"reality_check_p": "whole search (reality check)", "p_value": "its days"}
    for gate in (gates[name] for name in tests if name in gates):
        p = "not tested" if gate.value is None else f"p {_small(gate.value)}"
        outcome = "skipped" if gate.value is None else gate.outcome
        remarks.append(Remark(outcome, f"{tests[gate.name]}: {p}"))
    if tested and "fdr_q_value" in gates and gates["fdr_q_value"].value is not None:
        q = gates["fdr_q_value"]
        remarks.append(Remark(q.outcome, f"among the markets of its sweep: q {_small(q.value)}"))
    failed = [name for name in _BEFORE_LUCK if name in gates and gates[name].outcome == "failed"]
    undefined = "alpha_p" in failed and gates["alpha_p"].value is None
    if not tested:
        why = _BEFORE_LUCK[failed[0]] if failed else "the training left it out"
        why = _UNDEFINED if undefined and failed == ["alpha_p"] else why
        remarks.append(Remark("skipped", f"{_SEARCH}: not tested, because {why}"))
    elif undefined:
        remarks.append(Remark("skipped", f"beside holding: not tested, because {_UNDEFINED}"))
    return Tile("Shown to beat luck?", answer, tuple(remarks))


def sparkline(series: DailySeries) -> Sparkline | None:
    """Draw the equity of an out-of-sample series beside holding; None without a day.

    Every line begins at 0 before its first day (`equity_curve` less 1). Of a long series evenly
    spaced days are drawn, the last one among them.
    """
    if not len(series.day):
        return None
    curves = {"strategy": np.concatenate(([0.0], equity_curve(series.returns) - 1.0))}
    if series.hold is not None:
        curves["holding"] = np.concatenate(([0.0], equity_curve(series.hold) - 1.0))
    low = min(float(curve.min()) for curve in curves.values())
    high = max(float(curve.max()) for curve in curves.values())
    span = high - low or 1.0
    first, last = dates(series.day[[0, -1]])

    def height(value: float) -> float:
        return round(HEIGHT * (high - value) / span, 1)

    return Sparkline(
        lines=tuple(
            Line(f"{name} {percent(float(curve[-1]))}", _points(curve, height))
            for name, curve in curves.items()
        ),
        zero=height(0.0),
        top=percent(high),
        bottom=percent(low),
        first=first,
        last=last,
    )


def _points(curve: Float, height: Any) -> str:
    places = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _POINTS)).round().astype(int))
    across = WIDTH / max(1, len(curve) - 1)
    return " ".join(f"{across * place:.1f},{height(float(curve[place]))}" for place in places)
