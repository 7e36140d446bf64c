"""Lay out what a reader sees first: six figures of a configuration and a small equity curve."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import Float
from pipeline.report.figures import dates, equity_curve, logarithmic
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.results.records import Configuration, ConfigurationEvent, furthest_look
from pipeline.results.tables.live_models import PaperAccount
from pipeline.review.explanation import Explanation
from pipeline.validation.stages import LEVEL, REQUIREMENTS
from pipeline.validation.wording import ASKS, cases, defined, number, percent, plural, share, small

#: Trades out of sample that DISCOVERY asks for (validation rules §6.3).
_TRADES = next(
    int(r.threshold) for r in REQUIREMENTS if (r.stage, r.name) == ("DISCOVERY", "sample_size")
)
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
    logarithmic: bool


def tiles(configuration: Configuration, explanation: Explanation) -> tuple[Tile, ...]:
    """Return the six figures, out of sample: profit, Sharpe ratio, drawdown, trades, p, luck."""
    oos, statistics = configuration.out_of_sample, configuration.statistics
    hold, trades = statistics.get("hold") or {}, int(oos["sample_size"])
    sharpe = number(oos["sharpe_ratio"])
    return (
        Tile("Net profit", percent(oos["net_profit"]), tuple(_profit(oos, hold))),
        Tile("Sharpe ratio, a year", sharpe, tuple(_interval(statistics, trades))),
        Tile("Largest drawdown", share(oos["max_drawdown"]), tuple(_drawdown(oos, hold))),
        Tile("Trades", f"{trades:,}", tuple(_trades(oos))),
        _p_value(statistics.get("p_value"), trades),
        Tile("Beats luck?", explanation.luck.answer, tuple(_luck(explanation))),
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
        return (
            f"These figures are of the time before it stopped: days that no search had seen{days}."
        )
    return f"Out of sample: days that no search had seen{days}."


def newer_days(
    events: Sequence[ConfigurationEvent], paper: PaperAccount | None
) -> Iterator[tuple[str, str]]:
    """Yield what was measured on days after those of the figures: where, and what came of it."""
    look = furthest_look(events, "new")
    if look is not None:
        new, ends = (
            look.figures["new"],
            f"{look.figures['first_day']} to {look.figures['last_day']}",
        )
        yield (
            f"Newer candles, {ends} UTC",
            f"net {percent(new['net_profit'])}, Sharpe ratio {number(new['sharpe_ratio'])},"
            f" drawdown {share(new['max_drawdown'])}, {plural(int(new['sample_size']), 'trade')}"
            f" in {plural(int(new['n_days']), 'day')}",
        )
    if paper is not None and paper.through is not None:
        # The days that the line names: `through` is the open of the last candle.
        days = (paper.through.date() - paper.first_candle.date()).days + 1
        yield (
            f"Paper account, {paper.first_candle:%Y-%m-%d} to {paper.through:%Y-%m-%d} UTC",
            f"net {percent(paper.equity - 1.0)}, {plural(paper.trades, 'trade')} in"
            f" {plural(days, 'day')}",
        )


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


def _interval(statistics: Mapping[str, Any], trades: int) -> Iterator[Remark]:
    interval = statistics.get("sharpe_interval")
    if interval is None:
        yield Remark("skipped", "its 95 % interval is undefined")
        return
    low, high = interval["low"], interval["high"]
    within = " (0 is in it)" if low <= 0.0 <= high else ""
    shown = low > 0.0 and trades >= _TRADES
    yield _verdict(shown, f"95 % interval: {low:.2f} to {high:.2f}{within}")


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


def _p_value(p: float | None, trades: int) -> Tile:
    """Say how often luck alone earns as much as its days: their p-value in plain words.

    Of few trades it says nothing: a single day that won has a p-value of 0.02.
    """
    label = "Luck alone earns as much in"
    if p is None:
        return Tile(label, "undefined", (Remark("skipped", "its days do not vary"),))
    asked = _verdict(p < LEVEL, f"under {1000 * LEVEL:.0f} are needed")
    if trades < _TRADES:
        asked = Remark("failed", f"of {plural(trades, 'trade')}: too few for it to say anything")
    named = Remark("skipped", f"p-value of its days: {defined(p, small)}")
    return Tile(label, cases(p).removesuffix(" cases"), (asked, named))


def _luck(explanation: Explanation) -> Iterator[Remark]:
    """Say why it beats luck or not, and what the tests of its search found."""
    luck = explanation.luck
    unknown = "failed" if luck.gate else "skipped"
    yield Remark({"yes": "passed", "no": "failed"}.get(luck.answer, unknown), luck.reason)
    if explanation.stage == "DECAY":
        return
    # Of two gates of one figure the lower one decides what is tested: it comes first.
    gates = {gate.name: gate for gate in reversed(explanation.gates)}
    for name, asks in ASKS.items():
        p = gates[name].value if name in gates else None
        if p is not None and name not in ("p_value", luck.gate):
            yield Remark(gates[name].outcome, asks.format(cases(p)))
    if "surrogate_p" not in gates or gates["surrogate_p"].value is None:
        yield Remark("skipped", "not tried on candles without an edge")  # q says nothing then
    elif "fdr_q_value" in gates and (q := gates["fdr_q_value"].value) is not None:
        most = f"up to {share(q)} are luck (q {defined(q, small)})"
        yield Remark(gates["fdr_q_value"].outcome, f"of such finds among all markets tried, {most}")


def sparkline(series: DailySeries) -> Sparkline | None:
    """Draw the equity of an out-of-sample series beside holding; None without a day.

    Every line begins at 0 before its first day (`equity_curve` less 1). Of a long series evenly
    spaced days are drawn, the last one among them.
    """
    if not len(series.day):
        return None
    returns = {"strategy": series.returns, "holding": series.hold}
    curves = {
        name: np.nan_to_num(np.concatenate(([0.0], equity_curve(each) - 1.0)))
        for name, each in returns.items()
        if each is not None
    }
    scale = logarithmic(curves.values())
    low, high = (float(end(np.concatenate([*curves.values()]))) for end in (np.min, np.max))
    first, last = dates(series.day[[0, -1]])

    def height(value: float) -> float:
        bottom, at, top = (scale(each) if scale else each for each in (low, value, high))
        return round(HEIGHT * float((top - at) / (top - bottom or 1.0)), 1)

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
        logarithmic=scale is not None,
    )


def _points(curve: Float, height: Any) -> str:
    places = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _POINTS)).round().astype(int))
    across = WIDTH / max(1, len(curve) - 1)
    return " ".join(f"{across * place:.1f},{height(float(curve[place]))}" for place in places)
