"""Say what the figures of a configuration do not prove, in plain sentences."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.results.records import Configuration
from pipeline.training.rules import changes_since
from pipeline.validation.stages import LEVEL, rides_market
from pipeline.validation.surrogates import ENOUGH
from pipeline.validation.wording import number, percent, plural, share

#: Sentences by name; those of ``nulls`` say what each kind of surrogates keeps of the candles, and
#: what it loses (validation rules §5.3).
_SAID: dict[str, Any] = json.loads(Path(__file__).with_name("caveats.json").read_text("utf-8"))


def caveats(configuration: Configuration) -> Iterator[str]:
    """Yield them, the gravest first. A figure that the row does not hold is said to be missing."""
    statistics = configuration.statistics
    if configuration.synthetic:
        yield _SAID["invented"]
    if changes := changes_since(configuration.provenance):
        yield _SAID["changed"].format(rules=plural(len(changes), "rule"))
    yield from configuration.provenance.get("assumed", ())
    funding = configuration.provenance.get("funding") or {"stood_in": 0}
    if funding["stood_in"]:
        yield (
            f"{plural(funding['stood_in'], 'payment')} of funding, beside {funding['known']:,} that"
            f" are known, were not: {funding['stand_in_rate']:g} every 8 hours stood in for each."
        )
    yield _one_series(statistics)
    yield _whole_search(statistics)
    yield _surrogates(statistics)
    yield from _overfitting(statistics)
    yield from _stability(configuration)
    yield from _risk(statistics, configuration.out_of_sample)
    yield _SAID["fills"]


def _one_series(statistics: Mapping[str, Any]) -> str:
    """Say what the p-value counts, and what it does not."""
    p, q = statistics.get("p_value"), statistics.get("fdr_q_value")
    start = _SAID["no_p"] if p is None else _SAID["p"].format(p=number(p))
    if q is None:
        return f"{start} About one of twenty markets without an edge shows p < 0.05."
    return f"{start} Among the markets of its sweep the false-discovery rate is {number(q)}."


def _whole_search(statistics: Mapping[str, Any]) -> str:
    p = statistics.get("reality_check_p")
    if p is None:
        return str(_SAID["no_reality"])
    meaning = _SAID["something" if p < LEVEL else "luck"]
    return str(_SAID["reality"].format(part=share(p), meaning=meaning))


def _surrogates(statistics: Mapping[str, Any]) -> str:
    """Say what the search found where there is nothing, and what "nothing" was.

    p counts the real candles among the surrogates, so it bounds their share from above.
    """
    p, reality = statistics.get("surrogate_p"), statistics.get("reality_check_p")
    if p is None:
        convinced = reality is not None and reality < LEVEL
        against = "only the reality check speaks" if convinced else "nothing here speaks"
        return str(_SAID["no_surrogates"].format(against=against))
    drawn = (statistics.get("whole_history") or {}).get("surrogates") or {}
    of = ", ".join(f"{count:,} {kind}" for kind, count in drawn.items())
    nulls = "".join(f" {_SAID['nulls'][kind]}" for kind in drawn if kind in _SAID["nulls"])
    # Where the first kind decided against it the other was not drawn either.
    rides = rides_market(statistics.get("beta"))
    if set(drawn) == {"permuted"} and (rides or p < LEVEL):
        nulls += _SAID["drift"]
    # None beat the real candles where p is the smallest that so many of a kind can give.
    if drawn and math.isclose(p, 1.0 / (1.0 + min(drawn.values()))):
        return str(_SAID["never"].format(of=of, p=number(p), nulls=nulls))
    stopped = [n for n in drawn.values() if math.isclose(p, ENOUGH / n)]
    often = (
        f"in {ENOUGH} of {stopped[0]:,}, where the drawing stops because p < {LEVEL:g} is out of"
        " reach"
        if stopped
        else f"in at most {share(p)} of all cases"
    )
    return (
        "The search repeated on candles without an edge found a best 1 % as good"
        f" {often}{f' ({of})' if of else ''}.{nulls}"
    )


def _overfitting(statistics: Mapping[str, Any]) -> Iterator[str]:
    band = statistics.get("deflated_sharpe_ratio")
    if band is not None:
        ends = {end: number(band[end]) for end in ("low", "high")}
        yield _SAID["deflated"].format(**ends)
    pbo, loss = statistics.get("pbo"), statistics.get("p_oos_loss")
    if pbo is not None and loss is not None:
        yield _SAID["pbo"].format(pbo=number(pbo), part=share(loss) if loss else "none")
    if (kept := statistics.get("walk_forward_efficiency")) is not None:
        lost = "a loss came in place of the promised profit, " if kept < 0.0 else ""
        yield (
            f"Walk-forward efficiency: {lost}{share(kept)} of the promised net profit a year"
            f"{'' if lost else ' came'}."
        )


def _stability(configuration: Configuration) -> Iterator[str]:
    statistics = configuration.statistics
    moving = {
        name: spread
        for name, spread in (statistics.get("parameter_spread") or {}).items()
        if spread["min"] != spread["max"]
    }
    if moving:
        ranges = ", ".join(
            f"{name} {_setting(s['min'])} to {_setting(s['max'])} (median {_setting(s['median'])})"
            for name, s in moving.items()
        )
        yield _SAID["disagree"].format(ranges=ranges)
    elif statistics.get("parameter_spread"):
        windows = {c["windows"] for c in (statistics.get("parameter_choices") or {}).values()}
        yield _SAID["one_window" if windows == {1} else "agree"]
    part = statistics.get("stability_score")
    if part is not None:
        yield f"Of the neighbours on the grid {share(part)} have a positive score."


def _setting(value: float | None) -> str:
    return "off" if value is None else f"{value:g}"


def _risk(statistics: Mapping[str, Any], out_of_sample: Mapping[str, Any]) -> Iterator[str]:
    part, other = (
        statistics.get(name) for name in ("ambiguous_exit_share", "net_profit_target_first")
    )
    if part == 0.0:
        yield "No trade out of sample ended in a candle that touched both stop and target."
    elif part is not None and other is not None:
        yield _SAID["ambiguous"].format(part=share(part), other=percent(other))
    loss, drawdown = (statistics.get(name) for name in ("monte_carlo_var", "monte_carlo_drawdown"))
    if loss is not None and drawdown is not None:
        yield _SAID["month"].format(loss=share(loss), drawdown=share(drawdown))
    whole = out_of_sample.get("max_drawdown")
    if drawdown is not None and whole is not None:
        yield (
            "That band is of 30 days. Over its whole record of"
            f" {plural(int(out_of_sample['n_days']), 'day')} the strategy drew down {share(whole)}."
        )
