"""Write verdicts and figures in the words that every command shares."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pipeline.validation.stages import LEVEL, Gate, Stage, is_watched

SYNTHETIC = "SYNTHETIC candles: nothing below says anything about a market."


@dataclass(frozen=True)
class Luck:
    """Whether it beats luck, and why.

    ``kind`` says why without figures, ``gate`` is the gate whose figure the reason says, or empty.
    """

    answer: Literal["yes", "no", "not known yet"]
    reason: str
    kind: str = ""
    gate: str = ""


#: Tests of days and search, all of which must pass (validation rules §6): what each asks.
ASKS = {
    "surrogate_p": "the search does as well on candles without an edge in {}",
    "p_value": "luck alone earns as much in {}",
    "reality_check_p": "luck finds a combination as good in {}",
}
_OFTEN = "luck alone does as well too often"


def beats_luck(stage: Stage, gates: Iterable[Gate]) -> Luck:
    """Say whether days and search were shown to beat luck: the first answer below that fits.

    "no" is that a test which holds a configuration back failed, and no proof that it is luck. Where
    alpha is asked for and undefined, nobody can tell luck from holding the market. Days that were
    watched on paper answer it by themselves (validation rules §6.13).
    """
    judged = {gate.name: gate for gate in reversed(list(gates))}  # of two the one that comes first
    failed = {g.name: g.value for g in judged.values() if g.passed is False}
    known = {name: judged[name].value for name in ASKS if name in judged}
    ps = [(p, ASKS[name].format(cases(p)), name) for name, p in known.items() if p is not None]
    worst, said, test = max((p for p in ps if p[2] in failed), default=(0, "nobody tested it", ""))
    held = any(judged[name].stage == stage for name in failed)
    if stage == "DECAY":
        return Luck("no", "it stopped earning on newer candles")
    watched = is_watched(judged.values())
    refuted = not watched and not {"surrogate_p", "alpha_p", "fdr_q_value"}.isdisjoint(
        name for name, value in failed.items() if value is not None
    )
    if stage in ("PAPER", "DISCOVERY") and "surrogate_p" in judged and not held and not refuted:
        return Luck("not known yet", "newer candles say less")
    if watched:
        return Luck("yes", "the days watched on paper earned more than luck explains")
    if "net_profit" in failed:
        return Luck("no", "it lost")
    if (p := failed.get("surrogate_p")) is not None:
        return Luck("no", ASKS["surrogate_p"].format(cases(p)), _OFTEN, "surrogate_p")
    # Where the search was not tested q is 1, whatever number of markets was tried.
    if failed.get("fdr_q_value") is not None and known.get("surrogate_p") is not None:
        many = "so many markets were tried that luck finds one like it"
        return Luck("no", many, "too many markets were tried")
    if failed.get("alpha_p") is not None:
        return Luck("no", "holding the market explains what it earned")
    few = judged.get("sample_size")
    if few is not None and few.passed is False and few.stage == "DISCOVERY":
        needed = f"{plural(int(few.value or 0), 'trade')}, {few.threshold:,.0f} are needed"
        return Luck("not known yet", needed, "too few trades", few.name)
    if "alpha_p" in failed:
        return Luck("not known yet", "it may only have followed the market")
    if known.get("surrogate_p") is None:
        return Luck("no", said, _OFTEN, test) if worst else Luck("not known yet", said)
    if worst:
        needed = f"{said}, under {1000 * LEVEL:.0f} are needed"
        return Luck("not known yet", needed, "a stricter test is not passed", test)
    if None in known.values():
        return Luck("not known yet", "a stricter test is not made")
    _, said, test = max(ps)
    return Luck("yes", said.replace(" in ", " in only "), "luck alone seldom does as well", test)


def cases(p: float) -> str:
    """Write a p-value as what it asks, ``53 of 1,000 cases``: how often luck alone does as well."""
    if p < SMALLEST:
        return f"under 1 of {1 / SMALLEST:,.0f} cases"
    return f"{1000 * p:,.0f} of 1,000 cases"


def small(p: float) -> str:
    """Write a p-value or q-value; below `SMALLEST` nobody needs its digits."""
    return f"{p:.3g}" if p >= SMALLEST else f"below {SMALLEST:g}"


#: The smallest p-value that is written with its digits.
SMALLEST = 0.001

#: How a verdict says whether it beats luck.
_SAID = {
    "yes": "it earned out of sample and beats luck",
    "no": "it earned out of sample and was not shown to beat luck",
    "not known yet": "it earned out of sample, and whether it beats luck is not known yet",
}

_WATCHED = (
    "the days that it was watched on paper earned more than luck and than holding the market"
    " explain; nothing but a new training lifts it further"
)

_FILLED = "too few of its live orders were filled"
#: Where nothing but live orders keeps a configuration from the next stage.
_LIVE_VERDICTS: dict[Stage, str] = {
    "PAPER": f"{_FILLED}: trade nothing",
    "VALIDATION": f"{_SAID['yes']}, but prices went against its live orders",
}

#: Gates whose figures only live trading knows.
_LIVE = {"fill_rate": "fill rate", "adverse_selection_score": "adverse selection"}


def verdict(
    stage: Stage,
    gates: Sequence[Gate],
    only_live: bool = False,
    *,
    figures: bool = True,
    since: str = "",
) -> str:
    """Say what a stage means, without a full stop.

    ``only_live``: nothing but live orders keeps it there; ``figures``: the reason has them;
    ``since``: what came on newer candles, where they hold it there.
    """
    if only_live and stage in _LIVE_VERDICTS:
        return _LIVE_VERDICTS[stage]
    if stage == "VALIDATION" and is_watched(gates):
        return _WATCHED
    luck, all_failed = beats_luck(stage, gates), [g for g in gates if g.passed is False]
    if stage == "DECAY":
        return "it earned once, and stopped on newer candles: trade nothing"
    if stage == "PAPER":
        held = {gate.name for gate in all_failed if gate.stage == stage}
        return f"{_of_paper(held, since)}: trade nothing"
    few = {gate.name for gate in all_failed if gate.stage == stage} == {"sample_size"}
    nothing = ", so trade nothing" if stage == "DISCOVERY" and not few else ""
    reason = luck.reason if figures or not luck.kind else luck.kind
    said = f"{_SAID[luck.answer]}{nothing}: {reason}"
    if stage == "VALIDATION" and luck.answer == "yes":
        return f"{said}. It is not enough for the full size yet"
    return said


def _of_paper(held: Set[str], since: str) -> str:
    """Say what holds it in PAPER: its days out of sample, newer candles or live orders."""
    if "net_profit" in held:
        return "it lost on days that no search had seen"
    if "sharpe_ratio" in held:
        return "it does not earn enough on days that no search had seen"
    if "fill_rate" in held and not since:
        return _FILLED
    return f"it earned out of sample and {since or 'not enough on newer candles'}"


def beside_holding(out_of_sample: Mapping[str, Any], statistics: Mapping[str, Any]) -> str:
    """Say in a sentence whether holding the market did better; nothing where that is not known."""
    excess = statistics.get("excess_net_profit")
    if not excess:
        return ""
    earned = out_of_sample["net_profit"] > 0.0
    if not earned:
        return f"Holding the market did {'worse' if excess > 0.0 else 'better'}."
    return f"It earned {'more' if excess > 0.0 else 'less'} than holding the market."


def badge(stage: Stage, gates: Iterable[Gate], synthetic: bool) -> str:
    """Name a stage with whether it beats luck, and with what it was not held against.

    ``DISCOVERY (beats luck: not known yet, too few trades)``, ``MATURE (beats luck: yes; not
    asked: other markets, fill rate, adverse selection)``. Only live trading knows the last two; of
    what is not traded in full nobody asks for them. DECAY rests on none of it.
    """
    if stage == "DECAY":
        return marked(stage, synthetic)
    judged = list(gates)
    luck, skipped = beats_luck(stage, judged), []
    if stage in ("VALIDATION", "MATURE"):
        names = {"fdr_q_value": "other markets"} | _LIVE
        unknown = {gate.name for gate in judged if gate.value is None}
        skipped = [label for name, label in names.items() if name in unknown]
    beside = f"; not asked: {', '.join(skipped)}" if skipped else ""
    why = "" if luck.answer == "yes" else f", {luck.kind or luck.reason}"
    return f"{marked(stage, synthetic)} (beats luck: {luck.answer}{why}{beside})"


#: What each statistic says, in the order of a table.
MEANINGS: dict[str, str] = json.loads(Path(__file__).with_name("meanings.json").read_text("utf-8"))


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


def price(value: float) -> str:
    """Write a price with seven digits, thousands in groups and never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1e7 else format(Decimal(f"{value:.7g}"), ",f")


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


def trainings(count: int, markets: int, synthetic: bool = False) -> str:
    """``2 markets``; ``4 trainings of 2 markets`` where a market was searched more than once."""
    named = plural(markets, marked("market", synthetic))
    return named if count == markets else f"{plural(count, 'training')} of {named}"


def uncounted_searches(ids: Sequence[str]) -> str:
    """Say that stored configurations could not be counted among the earlier searches."""
    return (
        f"{plural(len(ids), 'stored configuration')} of this market could not be counted among the"
        f" earlier searches, because the provenance cannot be read: {', '.join(ids)}."
    )


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``, ``2.5 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:,.1f} days"


def setting(value: float | None) -> str:
    """Write a parameter's value; None is off."""
    return "off" if value is None else f"{value:g}"


def written(value: object) -> str:
    """Write a control's value as an address has it."""
    if isinstance(value, bool):
        return str(value).lower()
    whole = isinstance(value, float) and value.is_integer()
    return f"{value:.0f}" if whole else str(value)


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
