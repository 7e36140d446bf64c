"""Show what a start would take, beside the form."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from pipeline.validation.wording import duration, plural
from pipeline.web.service.starts import EstimateAnswer, MarketEstimate
from pipeline.web.studio.frame import in_labels, markup, part, text, with_links

#: Why nothing can be started.
_IDLE = (
    "Off: about 0 trades are expected in every market, so there is nothing to judge. Take more"
    " days, a shorter timeframe, or values that ask for less."
)
_UNFIT = (
    "Off: a start would refuse the candles. Take other days, or write higher limits under"
    " “Limits of the candles” of “History”."
)
_REFUSED = "Off: no market can be trained; what is wrong stands at each."
#: Spans to fetch that are named; a store with more holes counts the others.
SPANS = 3


class Estimate:
    """A card that says what the present choice takes, or why it cannot be.

    ``brief`` says how long, and stays in view beside the button.
    """

    def __init__(self, brief: TextElement) -> None:
        self._brief = brief
        with ui.element("section").classes("card"):
            text("h2", "What it takes")
            self._body = ui.element("div")
        self.refuse(["Choose a market, and what it takes is estimated here."])

    def wait(self) -> None:
        """Show that a new estimate is being made."""
        self.refuse(["Estimating …"])
        self._brief.set_text("Estimating …")

    def refuse(self, sentences: Sequence[str]) -> None:
        """Show why there is none."""
        self._brief.set_text("Off: the reason is under What it takes.")
        self._body.clear()
        with self._body:
            for line in sentences:
                markup(with_links(line), "p")

    def show(self, answer: EstimateAnswer) -> None:
        """Show an estimate."""
        possible = [market for market in answer.markets if market.refused is None]
        off = not possible and _REFUSED
        if not any(map(is_worth_it, possible)):
            off = off or (_UNFIT if any(one.unfit for one in possible) else _IDLE)
        takes = taken(answer)
        self._brief.set_text(off or takes)
        self._body.clear()
        warnings = [*map(in_labels, answer.warnings), *(one.sentence for one in answer.earlier)]
        rows = [
            (one, _short(one), in_labels(one.refused or ""), _at_hand(one), _candles(one))
            for one in answer.markets
        ]
        at_a_time = plural(answer.concurrent, "market")
        with self._body:
            part("train.jinja", "estimate", answer, takes, at_a_time, warnings, rows)


def taken(answer: EstimateAnswer) -> str:
    """Say how long a start takes, and how long if every market is searched on surrogates too."""
    each = [one.seconds + one.surrogate_seconds for one in answer.markets if one.refused is None]
    most = max(answer.seconds, sum(each) / answer.concurrent, *each)
    least, longest = _time(answer.seconds), _time(most)
    return f"About {least}" + (f", up to {longest}" if longest != least else "")


def is_worth_it(market: MarketEstimate) -> bool:
    """Whether a market can be trained, and a trade out of sample is expected at all."""
    return market.refused is None and not market.unfit and round(market.expected_trades) > 0


def _at_hand(market: MarketEstimate) -> str:
    """Say what is stored: ``Stored: no candle. A start fetches 2023-01-01 to ...``."""
    held = "Stored: no candle"
    if market.stored is not None:
        held = f"Stored: {_days(*market.stored)}"
    if not market.fetched:
        return f"{held}. Nothing is fetched. "
    spans = " and ".join(_days(*span) for span in market.fetched[:SPANS])
    more = f" and {len(market.fetched) - SPANS} more" if len(market.fetched) > SPANS else ""
    return f"{held}. A start fetches {spans}{more}: {plural(market.fetched_candles, 'candle')}. "


def _candles(market: MarketEstimate) -> str:
    """Return the address of the page of candles, filled in for what a start would fetch."""
    words = {"fetch": market.market}
    if market.fetched:
        words |= {"since": f"{market.fetched[0][0]:%Y-%m-%d}"}
        words |= {"until": f"{market.fetched[-1][1] + timedelta(days=1, milliseconds=-1):%Y-%m-%d}"}
    return f"/candles?{urlencode(words, safe=':/')}#fetch"


def _days(first: datetime, last: datetime) -> str:
    """Write a half-open span by its first and its last day."""
    return f"{first:%Y-%m-%d} to {last - timedelta(milliseconds=1):%Y-%m-%d}"


def _short(market: MarketEstimate) -> str:
    if market.refused is not None or market.unfit:
        return "cannot be trained"
    reach = ", likely too few for more than DISCOVERY" if market.out_of_reach else ""
    return f"{_time(market.seconds)}, about {market.expected_trades:,.0f} trades{reach}"


def _time(seconds: float) -> str:
    """Write a time that is estimated: no start takes 0 s."""
    return duration(max(seconds, 1.0))
