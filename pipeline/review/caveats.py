"""Say what the figures of a configuration do not prove, in plain sentences."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.results.records import Configuration
from pipeline.training.rules import changes_since
from pipeline.validation.stages import LEVEL, rides_market
from pipeline.validation.surrogates import ENOUGH
from pipeline.validation.wording import number, percent, plural, share

#: What each kind of surrogates keeps of the candles, and what it loses (validation rules §5.3).
_NULLS = {
    "permuted": "Permuted candles are the same bars in random order: they keep the drift.",
    "bar_flipped": "Flipped candles have each bar mirrored or not: they keep when the market moves"
    " and trades much, and lose the drift.",
}


def caveats(configuration: Configuration) -> Iterator[str]:
    """Yield them, the gravest first. A figure that the row does not hold is said to be missing."""
    statistics = configuration.statistics
    if configuration.synthetic:
        yield (
            "The candles were generated or rearranged: whatever was found says that the program"
            " works, and nothing about a market."
        )
    if changes := changes_since(configuration.provenance):
        yield (
            f"{plural(len(changes), 'rule')} changed since this training: today the same parameters"
            " may show other figures. scripts/verify names the changes."
        )
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
    yield (
        "Fills are simulated from candles, and no order book was asked. Past candles say how it"
        " would have done, not how it will do."
    )


def _one_series(statistics: Mapping[str, Any]) -> str:
    """Say what the p-value counts, and what it does not."""
    p, q = statistics.get("p_value"), statistics.get("fdr_q_value")
    start = (
        "p is undefined: the out-of-sample series does not vary."
        if p is None
        else (
            f"p = {number(p)} is of one out-of-sample series: no choice among combinations is left"
            " in it, but it does not know how many markets, periods and settings were looked at."
        )
    )
    if q is None:
        return f"{start} About one of twenty markets without an edge shows p < 0.05."
    return f"{start} Among the markets of its sweep the false-discovery rate is {number(q)}."


def _whole_search(statistics: Mapping[str, Any]) -> str:
    p = statistics.get("reality_check_p")
    if p is None:
        return (
            "The reality check over the whole search is missing: it cannot say how often luck alone"
            " would have made a combination look as good as the best."
        )
    meaning = (
        "a share so small says that something is there, not that it is this configuration"
        if p < LEVEL
        else "with a share so large luck is enough to explain the best"
    )
    return (
        "Reality check: where no combination has an edge, the best of those that trade on enough"
        f" days looks as good as here in {share(p)} of all cases. It is about the whole history and"
        f" all these combinations, whether the stored one is among them or not: {meaning}."
    )


def _surrogates(statistics: Mapping[str, Any]) -> str:
    """Say what the search found where there is nothing, and what "nothing" was.

    p counts the real candles among the surrogates, so it bounds their share from above.
    """
    p, reality = statistics.get("surrogate_p"), statistics.get("reality_check_p")
    if p is None:
        convinced = reality is not None and reality < LEVEL
        against = "only the reality check speaks" if convinced else "nothing here speaks"
        return (
            "The search was not repeated on candles without an edge, which is done where every"
            f" other gate of VALIDATION holds, the trades aside: {against} against luck in it."
        )
    drawn = (statistics.get("whole_history") or {}).get("surrogates") or {}
    of = ", ".join(f"{count:,} {kind}" for kind, count in drawn.items())
    nulls = "".join(f" {_NULLS[kind]}" for kind in drawn if kind in _NULLS)
    # Where the first kind decided against it the other was not drawn either.
    rides = rides_market(statistics.get("beta"))
    if set(drawn) == {"permuted"} and (rides or p < LEVEL):
        nulls += (
            " Candles without the drift were left out: what trades one side or rides the market"
            " would beat them by the drift alone."
        )
    # None beat the real candles where p is the smallest that so many of a kind can give.
    if drawn and math.isclose(p, 1.0 / (1.0 + min(drawn.values()))):
        return (
            "The search repeated on candles without an edge never found a best 1 % as good"
            f" ({of}): so few of them can say no more than p = {number(p)}.{nulls}"
        )
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
        yield (
            f"Deflated Sharpe ratio of the whole history's winner: {number(band['low'])} to"
            f" {number(band['high'])}, by whether every admissible combination or only the number"
            " that the bootstrap implies counts as a trial. It is reported as a band because no"
            " single count is right; a value above 0.95 is no proof."
        )
    pbo, loss = statistics.get("pbo"), statistics.get("p_oos_loss")
    if pbo is not None and loss is not None:
        yield (
            f"Probability of backtest overfitting {number(pbo)}; the chosen combination loses out"
            f" of sample in {share(loss) if loss else 'none'} of the splits of the history. The"
            " first alone is low whenever most combinations are hopeless, and one history's value"
            " is very noisy."
        )
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
        yield (
            f"The windows' searches did not agree on the parameters: {ranges}. The evidence is of"
            " the procedure; the stored parameters are its last choice."
        )
    elif statistics.get("parameter_spread"):
        windows = {c["windows"] for c in (statistics.get("parameter_choices") or {}).values()}
        yield (
            "There was one window: nothing shows whether another search would choose the same"
            " parameters."
            if windows == {1}
            else "Every window's search chose the same parameters."
        )
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
        yield (
            f"{share(part)} of the trades out of sample ended in a candle that"
            " touched both stop and target. The stop is taken to come first; had the target, the"
            f" net profit would be {percent(other)}."
        )
    loss, drawdown = (statistics.get(name) for name in ("monte_carlo_var", "monte_carlo_drawdown"))
    if loss is not None and drawdown is not None:
        yield (
            f"Without any edge, 30 days like these lose {share(loss)} or more in one"
            f" case of twenty, and draw down {share(drawdown)} or more in one of"
            " twenty: such a month is no sign of decay by itself."
        )
    whole = out_of_sample.get("max_drawdown")
    if drawdown is not None and whole is not None:
        yield (
            "That band is of 30 days. Over its whole record of"
            f" {plural(int(out_of_sample['n_days']), 'day')} the strategy drew down {share(whole)}."
        )
