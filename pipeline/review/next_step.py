"""Say in one sentence what to do now with a stored configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist
from typing import Literal, NamedTuple

from gpu_engine import DAYS_PER_YEAR
from pipeline.results.records import (
    FOLLOWED,
    Configuration,
    ConfigurationEvent,
    ceiling,
    furthest_look,
    utc_now,
)
from pipeline.review.later_evidence import may_rise
from pipeline.validation.stages import LEVEL, WATCHED_LEVEL, Gate, gates_from
from pipeline.validation.watching import FEWEST_TRADES, LOOKS
from pipeline.validation.wording import plural

#: Years of further days for which nobody is told to wait: markets change before.
LONGEST_WAIT = 5.0
#: From the opening of its paper account: what is traded was watched before.
MONTH = timedelta(days=30)

Action = Literal["drop", "watch", "wait", "train", "trade", "mend"]


@dataclass(frozen=True)
class Step:
    """What to do now: an action, and the sentence that says it."""

    action: Action
    sentence: str


class Seen(NamedTuple):
    """What came after the days out of sample, as far as newer looks saw it."""

    days: int
    trades: int


def seen_since(events: Sequence[ConfigurationEvent]) -> Seen:
    """Return what the look that reaches furthest saw: a new training has it in its history."""
    look = furthest_look(events, "new")
    new = {"n_days": 0, "sample_size": 0} if look is None else look.figures["new"]
    return Seen(int(new["n_days"]), int(new["sample_size"]))


def next_step(
    configuration: Configuration,
    events: Sequence[ConfigurationEvent] = (),
    objections: Sequence[str] = (),
) -> Step:
    """Say what to do now: the first of the answers below that fits.

    Parameters
    ----------
    configuration : Configuration
        Its row.
    events : sequence of ConfigurationEvent
        What happened to it since, oldest first.
    objections : sequence of str
        What of it is not as it was stored.
    """
    if objections:
        return Step("mend", "Trade nothing of it until what is named below is put back.")
    step = _by_stage(configuration, events)
    if configuration.is_active and configuration.position_size == 0.0:
        return Step("drop", f"Switch it off: nothing of it may be traded. Then: {step.sentence}")
    return step


def _by_stage(configuration: Configuration, events: Sequence[ConfigurationEvent]) -> Step:
    stage, size = configuration.lifecycle_stage, configuration.position_size
    if configuration.synthetic:
        return Step("drop", "Drop it and train a real market: these candles were invented.")
    if stage == "DECAY":
        return Step("drop", "Drop it: it stopped earning on newer candles. Train the market anew.")
    if stage in ("VALIDATION", "MATURE"):
        if size == 0.0:  # of rules before version 3
            return Step("train", "Train the market anew: by today's rules it has no size.")
        half = "half of the full size at most: stricter tests are not passed"
        share = half if size < 1.0 else "the full size at most"
        due = next((event.at + MONTH for event in events if event.kind == FOLLOWED), None)
        if due is not None and due <= utc_now():
            return Step("trade", f"As long as it stays in its band on Live, trade {share}.")
        until = "for a month" if due is None else f"until {due:%Y-%m-%d}"
        return Step("watch", f"Watch it on paper {until}. If it stays in its band, trade {share}.")
    return _of_weak_evidence(configuration, events)


def _of_weak_evidence(configuration: Configuration, events: Sequence[ConfigurationEvent]) -> Step:
    """Say what to do in PAPER and DISCOVERY: most is to be dropped."""
    failed = {
        gate.name: gate
        for gate in gates_from(configuration.gates)
        if gate.passed is False and gate.stage in ("PAPER", "DISCOVERY")
    }
    if "fill_rate" in failed and not {"net_profit", "sharpe_ratio"} & failed.keys():
        return Step("wait", "Trade nothing until you know why its orders are not filled.")
    oos, z = configuration.out_of_sample, configuration.statistics.get("z_score")
    if not oos["sample_size"]:
        return Step("drop", "Drop it: it made no trade on days that no search had seen.")
    if oos["net_profit"] <= 0.0 or z is None or z <= 0.0:
        return Step("drop", "Drop it: more days like these do not help.")
    alpha = failed.get("alpha_p")
    if alpha is not None and alpha.value is not None:
        return Step("drop", "Drop it: holding the market explains what it earned.")
    if failed.keys() == {"sample_size"} and configuration.position_size > 0.0:
        return _more_trades(failed["sample_size"], int(oos["n_days"]), seen_since(events))
    return _more_days(configuration, events, z, failed)


def _more_trades(gate: Gate, days: int, seen: Seen) -> Step:
    """Days until there are enough trades, at the rate so far."""
    have, needed = int(gate.value or 0) + seen.trades, int(gate.threshold)
    if have >= needed:
        return Step(
            "train",
            f"Train it again now: the {plural(seen.days, 'day')} since have the trades that were"
            " missing. Until then trade at most a quarter of the full size.",
        )
    more = _days_of_trades(needed - have, have, days + seen.days)
    return Step(
        "wait",
        f"It needs {_in_years(more)} of history, for {plural(needed - have, 'more trade')}. Until"
        " then trade at most a quarter of the full size.",
    )


def _days_of_trades(wanted: int, trades: int, days: int) -> int:
    """Days that bring some trades, at the rate so far."""
    return math.ceil(wanted * days / trades)


def _more_days(
    configuration: Configuration,
    events: Sequence[ConfigurationEvent],
    z: float,
    failed: Mapping[str, Gate],
) -> Step:
    """Watch what may soon be told from luck, wait for what may be later, drop what never will."""
    have, trades = (int(configuration.out_of_sample[n]) for n in ("n_days", "sample_size"))
    needed = max(0, math.floor(track_record_needed(z, have, LEVEL)) + 1 - have)
    seen = seen_since(events)
    more = max(0, needed - seen.days)
    if "sample_size" in failed:
        lacking = int(failed["sample_size"].threshold) - trades
        needed = max(needed, _days_of_trades(lacking, trades, have))
        # The newer days may have brought trades at another rate.
        lacking = max(0, lacking - seen.trades)
        more = max(more, _days_of_trades(lacking, trades + seen.trades, have + seen.days))
    if more > LONGEST_WAIT * DAYS_PER_YEAR:
        return Step("drop", f"Drop it: only {_in_years(more)} like these could tell it from luck.")
    openings = [event.at for event in events if event.kind == FOLLOWED]
    if openings and may_rise(configuration, events):
        last = openings[-1] + timedelta(days=LOOKS[-1] + 1)
        return Step(
            "watch", f"Watch it on paper until {last:%Y-%m-%d}, the last look. Trade nothing."
        )
    # A look judges the watched days alone, all looks together (validation rules §6.13).
    alone = track_record_needed(z, have, WATCHED_LEVEL / len(LOOKS))
    alone = max(alone, _days_of_trades(FEWEST_TRADES, trades, have))
    look = next((days for days in LOOKS if days >= alone), None)
    if look is not None and may_rise(configuration, events):
        return Step(
            "watch",
            f"Watch it on paper for {look} days: new days can show that it is not luck. Trade"
            " nothing.",
        )
    search = failed.get("surrogate_p")
    if search is not None and (search.value or 0.0) >= 0.5:  # more of the same days change nothing
        return Step("drop", "Drop it: the search does as well on candles without an edge.")
    # Of monitoring, or of gates that its days alone do not answer.
    if needed == 0 or ceiling(events) == configuration.lifecycle_stage:
        return Step("train", "Trade nothing of it: train the market anew, on newer candles too.")
    if "sharpe_ratio" in failed:
        return Step("drop", "Drop it: days like these do not reach the Sharpe ratio that is asked.")
    return _train_again(more, seen.days)


def _train_again(more: int, seen: int) -> Step:
    """Say when a new training has the days that it needs: ``more`` than were ``seen`` since."""
    if more == 0:
        return Step(
            "train",
            f"Train it again now, on newer candles too: with the {plural(seen, 'day')} that came"
            " since it has enough to be told from luck, if they are like those out of sample."
            " Trade nothing until then.",
        )
    came = f"with the {plural(seen, 'day')} that came since, " if seen else ""
    return Step(
        "wait",
        f"Train it again when it has {_in_years(more)}: {came}so many like these could tell"
        " it from luck. Trade nothing until then.",
    )


def _in_years(days: int) -> str:
    """``40 more days``, ``2.4 more years``."""
    if days < DAYS_PER_YEAR:
        return plural(days, "more day")
    return f"{days / DAYS_PER_YEAR:,.1f} more years"


def track_record_needed(z: float, n: int, alpha: float) -> float:
    """Observations after which a Sharpe ratio with z-score ``z`` after ``n`` reaches p = ``alpha``.

    `pipeline.validation.statistics.minimum_track_record_length` of the same series against 0,
    without its moments: both have the variance of the Sharpe ratio in common, so
    ``1 + V (z_a / SR)²`` with ``z = SR √(n−1) / √V`` is ``1 + (n−1) (z_a / z)²``. ``z`` > 0.
    """
    return 1.0 + (n - 1) * (NormalDist().inv_cdf(1.0 - alpha) / z) ** 2
