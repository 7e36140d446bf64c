"""Write verdicts and figures in the words that every command shares."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.validation.stages import Gate, Stage, beats_luck, is_watched

SYNTHETIC = "SYNTHETIC candles: nothing below says anything about a market."

_VERDICTS: dict[Stage, str] = {
    "PAPER": "it does not earn enough on days that no search had seen: trade nothing",
    "DISCOVERY": "it earned out of sample, too little to tell from luck: trade nothing",
    "VALIDATION": "it earned out of sample and the whole search beats luck, and a gate of MATURE is"
    " not passed yet",
    "MATURE": "it earned out of sample, and both its days and the whole search beat luck",
    "DECAY": "it earned once, and stopped on newer candles: trade nothing",
}

#: Of PAPER that lost, and of VALIDATION where a stricter test against luck failed.
_LOST = "it lost on days that no search had seen: trade nothing"
_IN_PART = "it earned out of sample and beats luck in part: a stricter test is not passed yet"

#: Of DISCOVERY where the gates against luck are not what holds it there.
_FEW = "the search beats luck, but its trades out of sample are too few to go further"
_UNTESTED = "it earned out of sample, and nobody tested whether it is luck: trade nothing"
_DISCOVERIES = {
    "alpha_p": "it earned out of sample no more than holding the market explains: trade nothing",
    "fdr_q_value": "it earned out of sample, too little for one of so many markets: trade nothing",
}

_WATCHED = (
    "the days that it was watched on paper earned more than luck and than holding the market"
    " explain; nothing but a new training lifts it further"
)

#: Where nothing but live orders keeps a configuration from the next stage.
_LIVE_VERDICTS: dict[Stage, str] = {
    "PAPER": "too few of its live orders were filled: trade nothing",
    "VALIDATION": "it earned out of sample, and both its days and the whole search beat luck, but"
    " prices went against its live orders",
}

#: Gates whose figures only live trading knows.
_LIVE = {"fill_rate": "fill rate", "adverse_selection_score": "adverse selection"}


def verdict(stage: Stage, gates: Sequence[Gate], only_live: bool = False) -> str:
    """Say what a stage means, without a full stop.

    ``only_live`` says that nothing but live orders keeps it from the next one.
    """
    if only_live and stage in _LIVE_VERDICTS:
        return _LIVE_VERDICTS[stage]
    if stage == "VALIDATION" and is_watched(gates):
        return _WATCHED
    all_failed = {g.name for g in gates if g.passed is False}
    if stage == "PAPER" and "net_profit" in all_failed:
        return _LOST
    luck = beats_luck(gates)
    if stage == "VALIDATION" and luck == "in part":
        return _IN_PART
    if stage != "DISCOVERY":
        return _VERDICTS[stage]
    failed = {g.name: g.value for g in gates if g.passed is False and g.stage == stage}
    if set(failed) == {"sample_size"}:
        return _FEW
    # Where another gate decides, the search is not held against surrogates.
    known = [name for name in _DISCOVERIES if failed.get(name) is not None]
    if failed.get("surrogate_p") is None and known:
        return _DISCOVERIES[known[0]]
    return _UNTESTED if luck == "not tested" else _VERDICTS[stage]


def beside_holding(out_of_sample: Mapping[str, Any], statistics: Mapping[str, Any]) -> str:
    """Say in a sentence that holding the market did better; nothing where it did not."""
    excess = statistics.get("excess_net_profit")
    if excess is None or excess >= 0.0:
        return ""
    earned = out_of_sample["net_profit"] > 0.0
    return "It earned less than holding the market." if earned else "Holding the market did better."


def badge(stage: Stage, gates: Iterable[Gate], synthetic: bool) -> str:
    """Name a stage with what it was not held against.

    ``DISCOVERY (not tested: luck)``, ``MATURE (not tested: other markets; not known yet: fill rate,
    adverse selection)``. Only live trading knows the last two. DECAY rests on none of them.
    """
    judged = list(gates)
    unknown = {gate.name for gate in judged if gate.value is None}
    untested, live = [], []
    if stage != "DECAY" and beats_luck(judged) == "not tested":
        untested.append("luck")
    if stage in ("VALIDATION", "MATURE") and "fdr_q_value" in unknown:
        untested.append("other markets")
    if stage not in ("PAPER", "DECAY"):
        live = [label for name, label in _LIVE.items() if name in unknown]
    parts = (("not tested", untested), ("not known yet", live))
    said = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)
    return marked(stage, synthetic) + (f" ({said})" if said else "")


#: What each statistic says, in the order of a table.
MEANINGS = {
    "p_value": "of the days out of sample against a Sharpe ratio of 0",
    "z_score": "the same, in standard deviations",
    "reality_check_p": "of the best of all combinations against the best of luck",
    "surrogate_p": "of the best 1 % against the same search on candles without an edge",
    "beta": "part of the market's daily return that a full position shared",
    "alpha": "return a year, not compounded, that holding the market does not explain",
    "alpha_p": "of alpha against none",
    "excess_net_profit": "net profit less that of buying and holding, in percentage points",
    "time_in_market": "share of the time with a position",
    "deflated_sharpe_ratio": "of the best, given how many were tried: a band",
    "pbo": "probability that the best in sample is below the median out of sample",
    "p_oos_loss": "probability that it loses there; read both together",
    "walk_forward_efficiency": "annualised out-of-sample over promised net profit",
    "stability_score": "share of the winner's neighbours with a positive score",
    "monte_carlo_var": "loss over 30 days that 95 % of drift-free paths stay within",
    "monte_carlo_drawdown": "drawdown over 30 days that as many stay within",
    "ambiguous_exit_share": "trades whose exit bar touched stop and target",
    "net_profit_target_first": "out-of-sample net profit had the target come first",
}


def marked(text: str, synthetic: bool) -> str:
    """Put SYNTHETIC before the name of what comes of invented candles."""
    return f"SYNTHETIC {text}" if synthetic else text


#: What the stored word of a state is called, of a job and of a market that stored nothing.
_STATES = {"pending": "waiting", "done": "nothing stored", "skipped": "nothing stored"}


def state(status: str) -> str:
    """Name a state in the one word of pages and reports: waiting, running, completed, failed ..."""
    return _STATES.get(status, status)


def outcome(gate: str, value: float | None) -> str:
    """Name the outcome of a gate: passed, failed, not tested (no figure), not asked (skipped)."""
    if gate == "skipped":
        return "not asked"
    return "not tested" if gate == "failed" and value is None else gate


def market_name(market: Any) -> str:
    """Name a market as every page and report does, ``binance:BTC/USDT:5m``, by its three fields."""
    return f"{market.exchange}:{market.pair}:{market.timeframe}"


def percent(value: float) -> str:
    """``+12.3 %`` for 0.123; 0 without a sign, and what a tenth cannot show with two digits."""
    if value == 0.0:
        return "0 %"
    form = "+,.1f" if abs(value) >= 0.001 else "+.2g"
    return f"{100.0 * value:{form}} %"


def share(value: float) -> str:
    """`percent` without a plus sign: ``94.8 %``."""
    return percent(value).lstrip("+")


def of_combination(metric: str, value: float) -> str:
    """Write a metric of a combination, as the tables and the figures of its search do."""
    if metric in ("net_profit", "max_drawdown", "win_rate"):
        return (percent if metric == "net_profit" else share)(value)
    if metric == "sample_size" or abs(value) >= 1000.0:  # without an exponent
        return f"{value:,.0f}"
    return format(value, ".2f" if metric == "sharpe_ratio" else ".4g")


def whole_percent(value: float) -> str:
    """``45 %`` for 0.451: of progress, and of sizes, where no tenth says anything."""
    return f"{100.0 * value:.0f} %"


#: How fractions are written; every other figure has four digits.
_SHARES = "time_in_market monte_carlo_var monte_carlo_drawdown ambiguous_exit_share"
FRACTIONS: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(("net_profit", "alpha", "net_profit_target_first"), percent),
    **dict.fromkeys((*_SHARES.split(), "stability_score", "fill_rate"), share),
}


def number(value: float | None) -> str:
    """Three significant digits; whole numbers as they are."""
    if value is None:
        return "undefined"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def plural(count: int, noun: str) -> str:
    """``1 day``, ``1,234 days``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def uncounted_searches(ids: Sequence[str]) -> str:
    """Say that stored configurations could not be counted among the earlier searches."""
    return (
        f"{plural(len(ids), 'stored configuration')} of this market could not be counted among the"
        f" earlier searches, because the provenance cannot be read: {', '.join(ids)}."
    )


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def setting(value: float | None) -> str:
    """Write a parameter's value; None is off."""
    return "off" if value is None else f"{value:g}"


def defined(value: float | None, form: str | Callable[[float], str]) -> str:
    """Write a metric; where nothing was lost some are undefined."""
    if value is None or math.isnan(value):
        return "-"
    return format(value, form) if isinstance(form, str) else form(value)


def plain(name: str, value: float | bool | dict[str, float] | None) -> str:
    """Write a statistic, by its name."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return f"{value['low']:.4g} to {value['high']:.4g}"
    if name == "excess_net_profit":  # of two percentages: no percentage of anything
        return f"{100.0 * value:+,.1f} points"
    return FRACTIONS[name](value) if name in FRACTIONS else format(value, ".4g")
