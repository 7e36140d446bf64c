"""Explain why a stored configuration is in its stage and what would move it, in plain sentences.

Works from what the database holds alone: nothing is simulated again, so any reader of the database
can show the same. Where new days lie in their band is said too (validation rules §8), and
`pipeline.review.caveats` adds what the figures do not prove.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from pipeline.config.search import PLATEAU_LIMIT
from pipeline.market_data.exchange.facts import sentence
from pipeline.results import records
from pipeline.results.records import ConfigurationEvent
from pipeline.review.caveats import caveats
from pipeline.review.gates import FIGURES, ExplainedGate, explained
from pipeline.review.later_evidence import ways_to_rise
from pipeline.review.next_step import Step, next_step, seen_since, track_record_needed
from pipeline.validation import wording
from pipeline.validation.remarks import Record, facts
from pipeline.validation.sequential import LEVEL
from pipeline.validation.stages import Gate, Stage, gates_from, is_watched
from pipeline.validation.wording import number, percent, plural, share

#: In place of a stage, which may be the edit itself.
_EDITED = "NOT AS IT WAS STORED"
_UNREAD = wording.Luck("not known yet", "it is not as it was stored")
_AGAIN = (
    "Put back what is named above, or restore its row together with its events from one copy of"
    " the database. What stands here besides is what the database says now: any of it may be false."
)


@dataclass(frozen=True)
class Explanation:
    """Sentences about one configuration, in the order in which they are read.

    ``badge`` names the stage, whether it beats luck, and what was not tested; ``luck`` is that
    answer with its reason. ``stage`` is None, and ``badge`` says so, where something is not as it
    was stored: the stage may be the edit.
    ``statistics`` are the row's figures (validation rules §3), for who would rather reckon.
    ``next_step`` says what to do now.
    ``since`` says where the days since lie in their band, and ``live_band`` holds the figures of
    it; empty and None until monitoring looked (validation rules §8).
    """

    configuration_id: str
    market: str
    synthetic: bool
    stage: Stage | None
    size: float
    badge: str
    verdict: str
    luck: wording.Luck
    next_step: Step
    gates: tuple[ExplainedGate, ...]
    moves: tuple[str, ...]
    facts: tuple[str, ...]
    caveats: tuple[str, ...]
    statistics: dict[str, Any]
    since: tuple[str, ...] = ()
    live_band: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values."""
        return asdict(self)


def explain(
    configuration: records.Configuration,
    events: Sequence[records.ConfigurationEvent] = (),
    grid_size: int | None = None,
    objections: Sequence[str] = (),
) -> Explanation:
    """Explain a configuration.

    Parameters
    ----------
    configuration : Configuration
        Its row.
    events : sequence of ConfigurationEvent
        What happened to it since, oldest first.
    grid_size : int or None
        Combinations of the grid that was searched; None where it was no grid, or is not known.
    objections : sequence of str
        What of it is not as it was stored (`pipeline.results.rows.checks`): then nothing is traded.
    """
    stage = configuration.lifecycle_stage
    size = 0.0 if objections else configuration.position_size
    reported = {name: e.at for e in events if e.kind == records.EXECUTION for name in e.figures}
    judged = gates_from(configuration.gates)
    band = latest_band(events)
    shown = _EDITED if objections else wording.badge(stage, judged, configuration.synthetic)
    gates = tuple(
        explained(gate, reported.get(gate["name"]), is_watched(judged))
        for gate in configuration.gates
    )
    if objections:
        meaning = f"{_EDITED}: {'; '.join(objections)}. Nothing of it is traded (size 0)."
        moves: Iterable[str] = (_AGAIN,)
    else:
        said = _verdict(configuration, judged, gates, events)
        meaning = f"{shown}, size {size:g}: {' '.join(said)}"
        moves = _moves(configuration, gates, events, grid_size)
    record = Record(**{name: getattr(configuration, name) for name in Record._fields})
    return Explanation(
        configuration_id=configuration.id,
        market=wording.market_name(configuration),
        synthetic=configuration.synthetic,
        stage=None if objections else stage,
        size=size,
        badge=shown,
        verdict=meaning,
        luck=_UNREAD if objections else configuration.luck,
        next_step=next_step(configuration, events, objections),
        gates=gates,
        moves=tuple(moves),
        facts=(*facts(record), *_market(configuration)),
        caveats=tuple(caveats(configuration)),
        statistics=configuration.statistics,
        since=tuple(since(band)),
        live_band=band,
    )


def _market(configuration: records.Configuration) -> Iterator[str]:
    """Say what the exchange itself stated of the market, where it was asked."""
    stated = configuration.provenance.get("market")
    if stated:
        yield sentence(configuration.exchange, configuration.pair, stated)


def _verdict(
    configuration: records.Configuration,
    judged: Sequence[Gate],
    gates: Sequence[ExplainedGate],
    events: Sequence[records.ConfigurationEvent],
) -> Iterator[str]:
    """Say what the stage means, whether holding did better, and who lowered it since."""
    stage = configuration.lifecycle_stage
    came = _lowered_by(stage, events)
    binding = {"PAPER": "PAPER", "VALIDATION": "MATURE"}.get(stage)
    failed = [gate for gate in gates if gate.outcome == "failed" and gate.stage == binding]
    live = [gate for gate in failed if gate.reported is not None]
    monitored = records.ceiling(events) == stage
    only_live = bool(live) and live == failed and not monitored
    asked = is_watched(judged) or any(
        gate.name == "surrogate_p" and gate.passed is not None for gate in judged
    )
    if not asked and stage not in ("DECAY", "PAPER"):  # of rules before version 3
        yield (
            "Its search was never held against candles without an edge, so it has no size by"
            " today's rules: train the market anew."
        )
    else:
        yield f"{wording.verdict(stage, judged, only_live, since=came)}."
    beside = wording.beside_holding(configuration.out_of_sample, configuration.statistics)
    yield from [beside] if beside and stage != "DECAY" and not came else []
    for rise in (event for event in events if event.kind == records.WATCH):
        yield f"It rose from {rise.from_stage} on {rise.at:%Y-%m-%d}: {rise.reason}"
    if moved := _moved_by_monitoring(events):
        yield (
            f"Monitoring lowered it from {moved.from_stage} to {moved.to_stage} on"
            f" {moved.at:%Y-%m-%d}: {moved.reason}"
        )
    for gate in live:
        yield f"Live orders keep it there: {gate.sentence.removesuffix(': failed')}."


def _lowered_by(stage: Stage, events: Sequence[ConfigurationEvent]) -> str:
    """Say what came on the newer days that hold a configuration in PAPER; empty without any."""
    lowering = [look for look in records.looks_of_monitoring(events) if _holds(look, stage)]
    look = records.furthest_look(lowering, "new")
    if stage != "PAPER" or look is None:
        return ""
    new, kept = look.figures["new"], look.figures
    came = "lost" if new["net_profit"] < 0.0 else "earned too little"
    days = plural(int(new["n_days"]), "day")
    return f"{came} on the newer candles since ({days}, {kept['first_day']} to {kept['last_day']})"


def _holds(look: ConfigurationEvent, stage: Stage) -> bool:
    """Whether a look moved a configuration to a stage, or saw a gate of it fail."""
    failed = (gate["stage"] for gate in look.figures.get("gates", ()) if gate["passed"] is False)
    return stage in failed or look.from_stage != look.to_stage == stage


def _moved_by_monitoring(
    events: Sequence[records.ConfigurationEvent],
) -> records.ConfigurationEvent | None:
    """Return the last event by which monitoring moved the stage, since it rose if it did."""
    moved = [e for e in records.looks_of_monitoring(events) if e.to_stage != e.from_stage]
    return moved[-1] if moved else None


def _moves(
    configuration: records.Configuration,
    gates: Sequence[ExplainedGate],
    events: Sequence[records.ConfigurationEvent],
    grid_size: int | None,
) -> Iterator[str]:
    """Say what would lift the configuration, the next stage first, and what would lower it."""
    failed = [gate for gate in gates if gate.outcome == "failed"]
    if records.ceiling(events) == configuration.lifecycle_stage:
        live = " and of live orders" if any(gate.reported for gate in gates) else ""
        yield f"The gates above are those of its discovery{live}: monitoring lowered it since."
        yield "A new training lifts it again, on candles that include the newer ones."
        yield from ways_to_rise(configuration, events)
        return
    if is_watched(gates_from(configuration.gates)):
        yield "To go further takes a new training, on candles that include the watched days."
        yield from _reports(gates, events)
        return
    for stage, aim in (
        ("PAPER", "To leave PAPER"),
        ("DISCOVERY", "To leave DISCOVERY"),
        ("MATURE", "To become MATURE"),
    ):
        needs = [_need(gate, configuration, grid_size) for gate in failed if gate.stage == stage]
        if needs:
            yield f"{aim}: {'; '.join(needs)}."
    if not failed:
        yield "There is no higher stage."
    yield from _reports(gates, events)
    seen = seen_since(events)
    came = f"{plural(seen.days, 'day')} with {plural(seen.trades, 'trade')}"
    yield (
        f"More history means a new training{f', which has the {came} since' if seen.days else ''}:"
        " the figures of this one do not change. Monitoring on newer candles (scripts/monitor) can"
        " only lower the stage."
    )
    yield from ways_to_rise(configuration, events)


def _reports(
    gates: Sequence[ExplainedGate], events: Sequence[records.ConfigurationEvent]
) -> Iterator[str]:
    """Say what monitoring and live orders reported, and what a better report would do."""
    look = records.furthest_look(events)
    reports = [event for event in events if event.kind == records.EXECUTION]
    if look is not None:
        yield f"Monitored on {look.at:%Y-%m-%d}: {look.reason}"
    if reports:
        yield f"Reported on {reports[-1].at:%Y-%m-%d}: {reports[-1].reason}"
    if any("slippage" in event.figures for event in reports):
        yield "Slippage is kept with the configuration; no gate asks for it."
    if any(gate.outcome == "failed" and gate.reported for gate in gates):
        yield "A later report of better live orders lifts it again, as far as its other gates let."


def _need(gate: ExplainedGate, configuration: records.Configuration, grid_size: int | None) -> str:
    """Say what a failed gate is short of, and what that would take."""
    label = FIGURES[gate.name].label if gate.name in FIGURES else gate.name
    if gate.value is None:
        hint = _hint_when_unknown(gate.name, configuration.statistics, grid_size)
        return f"{label} must be known: {hint}"
    if gate.name == "sample_size":
        return _more_trades(gate, int(configuration.out_of_sample["n_days"]))
    if gate.name == "p_value":
        return _more_record(gate, configuration)
    written = FIGURES[gate.name].written if gate.name in FIGURES else number
    verb = "fall" if gate.comparison == "<" else "rise"
    bound = {">=": "to", ">": "above", "<": "below"}[gate.comparison]
    return f"{label} must {verb} from {written(gate.value)} {bound} {written(gate.threshold)}"


def _hint_when_unknown(name: str, statistics: Mapping[str, Any], grid_size: int | None) -> str:
    """Say how a figure could be known; what was not searched at all has no ``whole_history``."""
    if name not in ("reality_check_p", "surrogate_p"):
        return "it is undefined on these days"
    if grid_size is not None and grid_size > PLATEAU_LIMIT:
        return (
            f"there is none for a grid of more than {PLATEAU_LIMIT:,} combinations, and this one"
            f" has {grid_size:,}; train with a smaller one"
        )
    if name == "surrogate_p":
        return "it is computed once every other gate of VALIDATION holds, the trades aside"
    searched = statistics.get("whole_history") or {}
    if searched and "surrogates" not in searched:  # for the reality check, which had nothing
        return "no combination closes trades on enough different days; that takes more history"
    return "train with validation.evidence=full"


def _more_trades(gate: ExplainedGate, n_days: int) -> str:
    """Days of history, at the rate of trades so far, until there are enough trades."""
    have = int(gate.value or 0)
    needed = int(gate.threshold) + (gate.comparison == ">")
    missing = f"{plural(needed - have, 'more trade')} out of sample"
    if have == 0:
        return f"{missing}; there was none in {plural(n_days, 'day')}, so no rate to reckon with"
    days = math.ceil((needed - have) * n_days / have)
    return (
        f"{missing}: at the rate so far ({have} in {plural(n_days, 'day')}) that takes"
        f" {plural(days, 'more day')} of history"
    )


def _more_record(gate: ExplainedGate, configuration: records.Configuration) -> str:
    """Days of record after which the same daily returns would be significant."""
    z, have = configuration.statistics.get("z_score"), int(configuration.out_of_sample["n_days"])
    if z is None or z <= 0.0:
        return (
            f"p must fall from {number(gate.value)} below {number(gate.threshold)}; the average day"
            " out of sample earned nothing or lost, and more days like that do not help"
        )
    days = math.floor(track_record_needed(z, have, gate.threshold)) + 1
    return (
        f"p must fall from {number(gate.value)} below {number(gate.threshold)}: with the same"
        f" average, spread and shape of daily returns that takes {plural(days, 'day')} out of"
        f" sample (minimum track record length), {days - have:,} more than there are"
    )


def latest_band(events: Sequence[ConfigurationEvent]) -> dict[str, Any] | None:
    """Return the band of the furthest look that kept one, its days among them; None without."""
    look = records.furthest_look(events, "live_band")
    if look is None:
        return None
    days = {name: look.figures[name] for name in ("first_day", "last_day")}
    return {**days, **look.figures["live_band"]}


def since(band: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield sentences on the figures of `latest_band`."""
    if band is None:
        return
    days = f"{plural(band['live_days'], 'new day')}, {band['first_day']} to {band['last_day']}"
    if band["unknown"] is not None:
        yield (
            f"{days}: there is not enough to say whether they keep what the out-of-sample days"
            f" promised ({band['unknown']})."
        )
        return
    low, median, high = (percent(band[name] - 1.0) for name in ("low", "median", "high"))
    yield (
        f"{days}: net {percent(band['equity'] - 1.0)}. Days as out of sample would have come to"
        f" {median} in the middle, and between {low} and {high} in nine of ten cases; in"
        f" {share(band['position'])} of all cases to less than this."
    )
    if band["left_path"]:
        yield "On some day the equity was outside the band that nine in ten such years never leave."
    yield _test(band)


def _test(band: Mapping[str, Any]) -> str:
    alarm = band["alarm_day"]
    if alarm is None:
        return (
            f"Sequential test: no alarm, p = {number(band['p'])} (an alarm at {number(LEVEL)} or"
            " less). Too few days, or luck, hide an edge that has gone: no alarm is no proof."
        )
    day = date.fromisoformat(band["first_day"]) + timedelta(days=alarm - 1)
    return (
        f"Sequential test: ALARM on {day}, new day {alarm:,}, p = {number(band['p'])}."
        " Where nothing had changed, at most 5 % of years would have an alarm."
    )
