"""Say in sentences what an out-of-sample record shows, and what to beware of in it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.validation.stages import LEVEL, rides_market
from pipeline.validation.wording import number, percent, plural, setting, share, uncounted_searches

Figures = Mapping[str, Any]

#: Trades in sample below which a choice rests on little (as validation rules §6.3 out of sample).
_FEW = 30
#: Share of a drawdown by which closed trades may differ from it without a word.
_MATERIAL = 0.1


class Record(NamedTuple):
    """What is known of a configuration's evidence; of an earlier build less, which is not told.

    ``parameters`` are the stored ones, ``statistics`` those of validation rules §3. ``pair`` is
    the market's, with its settlement behind a colon where it is no spot market.
    """

    parameters: Figures
    in_sample: Figures
    out_of_sample: Figures
    statistics: Figures
    pair: str
    synthetic: bool


def warnings(record: Record) -> Iterator[str]:
    """Say what a trader must know before anything else, the gravest first."""
    lost = record.in_sample.get("net_profit")
    if lost is not None and lost < 0.0:
        yield (
            f"The stored configuration lost {share(-lost)} on the very days that it was chosen on:"
            " the search found nothing better there."
        )
    trades = record.in_sample.get("sample_size")
    if trades is not None and trades < _FEW:
        yield (
            f"The stored configuration was chosen on {plural(int(trades), 'trade')} in sample: so"
            " few tell little of one combination against another."
        )
    yield from _liquidations(record)
    yield from _shorts(record)
    yield from _unchosen(record)
    if _convinces(record):
        yield from _earlier(record.statistics)


def facts(record: Record) -> Iterator[str]:
    """Say what came out of sample: how sure, against holding, what was paid, when, which side."""
    yield from _windows(record)
    yield from _interval(record)
    yield from _holding(record)
    yield from _marked(record)
    yield from _costs(record)
    yield from _years(record)
    yield from _edges(record)
    yield from warnings(record)
    if not _convinces(record):
        yield from _earlier(record.statistics)


def _windows(record: Record) -> Iterator[str]:
    """Name the days of the first window and of the last; the statistics hold those of all."""
    windows = record.statistics.get("window_days")
    if not windows:
        return
    first, last = (
        f"{' to '.join(window['train'])}, tested on {' to '.join(window['test'])}"
        for window in (windows[0], windows[-1])
    )
    if len(windows) == 1:
        yield f"One window: trained on {first}."
    else:
        yield f"{len(windows):,} windows: the first trained on {first}; the last on {last}."


def _convinces(record: Record) -> bool:
    """Whether p is small enough to be taken for an edge: what raises it must then be said first."""
    p = record.statistics.get("p_value")
    return p is not None and p < LEVEL


def _liquidations(record: Record) -> Iterator[str]:
    """Say how many positions were liquidated; without leverage none can be."""
    count = record.statistics.get("liquidations")
    if count:
        yield (
            f"{plural(count, 'position')} out of sample lost the whole margin: the leverage closed"
            f" {'it' if count == 1 else 'them'}, not the strategy."
        )


def _shorts(record: Record) -> Iterator[str]:
    """Shorts of a spot market need a loan; invented candles have no market."""
    sides = record.statistics.get("sides")
    if sides is None or record.synthetic or ":" in record.pair or not sides["short"]["trades"]:
        return
    longs, shorts = sides["long"], sides["short"]
    trades = longs["trades"] + shorts["trades"]
    yield (
        f"{shorts['trades']:,} of the {plural(trades, 'trade')} out of sample"
        f" ({share(shorts['trades'] / trades)}) were shorts, which need a margin loan on a spot"
        f" market: {_loan(record.statistics)}. The longs alone made {percent(longs['net_profit'])},"
        f" the shorts alone {percent(shorts['net_profit'])}.{_long_alone(record.statistics)} To"
        " search for longs alone, train with risk.direction=long: it is one more search."
    )


def _loan(statistics: Figures) -> str:
    paid = (statistics.get("costs") or {}).get("borrow")
    if paid:
        return f"it cost {share(paid)} of the equity (costs.borrow_rate)"
    return "nothing was charged for it, and costs.borrow_rate charges a fraction a day"


def _long_alone(statistics: Figures) -> str:
    alone = statistics.get("long_alone")
    if alone is None:
        return ""
    return (
        " The same choices without any short, on the same days, made"
        f" {percent(alone['net_profit'])} in {plural(alone['trades'], 'trade')}, with a Sharpe"
        f" ratio of {number(alone['sharpe_ratio'])}."
    )


def _unchosen(record: Record) -> Iterator[str]:
    """Name the stored values that no window chose."""
    choices: Figures = record.statistics.get("parameter_choices") or {}
    counted = {n: c for n, c in choices.items() if c["chosen_in"] is not None and c["windows"]}
    never = [_named(record, name) for name, choice in counted.items() if choice["chosen_in"] == 0]
    if never:
        windows = max(choice["windows"] for choice in counted.values())
        yield (
            f"Not one of the {plural(windows, 'window')} chose what is stored as"
            f" {', '.join(never)}: its evidence is of other values."
        )


def _edges(record: Record) -> Iterator[str]:
    choices: Figures = record.statistics.get("parameter_choices") or {}
    edges = [f"{_named(record, name)} ({c['edge']})" for name, c in choices.items() if c["edge"]]
    if edges:
        told = f"Stored at an end of its range: {', '.join(edges)}."
        # Of what lost, no one is sent to search on: a search long enough finds something.
        if record.out_of_sample["net_profit"] > 0.0:
            told += (
                " Better values may lie beyond, where nothing was searched; to look there is one"
                " more search."
            )
        yield told


def _named(record: Record, name: str) -> str:
    return f"{name}={setting(record.parameters.get(name))}"


def _earlier(statistics: Figures) -> Iterator[str]:
    earlier = statistics.get("earlier_searches")
    if earlier and "uncounted" in earlier:
        yield uncounted_searches(earlier["uncounted"])
    if not earlier or not earlier["count"]:
        return
    count = earlier["count"]
    others = "1 other search" if count == 1 else f"{count:,} other searches"
    held = "was" if count == 1 else "were"
    known = f"{others} of this market and these days {held} stored in the database before"
    if earlier["p_after"] is None:
        yield f"{known}."
        return
    yield (
        f"{known}. If this one was picked as the best of all, its p is not"
        f" {number(statistics['p_value'])} but up to {number(earlier['p_after'])}. No stage"
        " follows from that: it would depend on what else a database holds."
    )


def _interval(record: Record) -> Iterator[str]:
    interval = record.statistics.get("sharpe_interval")
    if interval is None:
        return
    end = ": no edge at all is well within it" if interval["low"] <= 0.0 <= interval["high"] else ""
    if interval["high"] < 0.0:
        end = ": it lost more than luck explains"
    yield (
        f"The Sharpe ratio out of sample is {number(record.out_of_sample['sharpe_ratio'])}, and its"
        f" 95 % interval goes from {number(interval['low'])} to {number(interval['high'])}{end}."
    )


def _holding(record: Record) -> Iterator[str]:
    """Set the record beside holding the market on the same days."""
    statistics = record.statistics
    hold = statistics.get("hold")
    if hold is None:
        return
    excess, part = statistics["excess_net_profit"], statistics["time_in_market"]
    yield (
        f"Buying and holding made {percent(hold['net_profit'])} on the same days, with a drawdown"
        f" of {share(hold['max_drawdown'])}. The strategy made"
        f" {percent(record.out_of_sample['net_profit'])}, {100.0 * abs(excess):,.1f} percentage"
        f" points {'more' if excess >= 0.0 else 'less'}, with a drawdown of"
        f" {share(record.out_of_sample['max_drawdown'])}, and had a position {share(part)} of the"
        " time."
    )
    beta, alpha, p = (statistics.get(name) for name in ("beta", "alpha", "alpha_p"))
    if beta is None or alpha is None:
        return
    rides = "it rides the market" if rides_market(beta) else "it goes its own way"
    tested = "" if p is None else f" (p = {number(p)})"
    yield (
        f"Beta is {number(beta)}: {rides}. What holding does not explain, alpha, is"
        f" {percent(alpha)} a year, not compounded{tested}."
    )


def _marked(record: Record) -> Iterator[str]:
    """Say where the equity as it was drew down by another figure than its closed trades."""
    closed, oos = record.statistics.get("closed"), record.out_of_sample
    if closed is None:
        return
    drawdown, apart = oos["max_drawdown"], abs(closed["max_drawdown"] - oos["max_drawdown"])
    if apart <= _MATERIAL * drawdown:
        return
    yield (
        "Open positions are valued at every day's close. By closed trades alone the drawdown would"
        f" be {share(closed['max_drawdown'])} in place of {share(oos['max_drawdown'])}, the Sharpe"
        f" ratio {number(closed['sharpe_ratio'])} in place of {number(oos['sharpe_ratio'])}."
    )


def _costs(record: Record) -> Iterator[str]:
    paid = record.statistics.get("costs")
    if paid is None or record.out_of_sample.get("sample_size") == 0:  # nothing was paid
        return
    others = {"funding": paid["funding"], "borrowing for shorts": paid.get("borrow")}
    more = "".join(f", {name} {share(value)}" for name, value in others.items() if value)
    yield (
        f"Without costs the same trades would have made {percent(paid['gross_net_profit'])} in"
        f" place of {percent(record.out_of_sample['net_profit'])}: fees took {share(paid['fees'])}"
        f" and slippage {share(paid['slippage'])}{more} of the equity, summed over the trades."
    )


def _years(record: Record) -> Iterator[str]:
    years = record.statistics.get("years") or ()
    if len(years) < 2:
        return
    each = ", ".join(
        f"{year['year']} {percent(year['net_profit'])} ({percent(year['hold_net_profit'])})"
        for year in years
    )
    yield f"By year, holding in brackets: {each}."
