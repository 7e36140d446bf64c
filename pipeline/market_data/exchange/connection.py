"""Ask an exchange about one market through ccxt, and ask again after failures that may pass.

A ban or a refusal ends the asking: the same question would be refused again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gpu_engine import Bool, Float
from pipeline.config.market_word import ccxt_class
from pipeline.errors import BannedError, Note, UnreachableError, UserError, suggestion
from pipeline.market_data.exchange.facts import MarketFacts, facts_of, refuse_untraded
from pipeline.market_data.exchange.failures import cause_of
from pipeline.market_data.exchange.network import AS_USUAL, Network, new_session
from pipeline.market_data.raw import COLUMNS, LARGEST
from pipeline.market_data.timeframe import TIMEFRAMES, utc

if TYPE_CHECKING:
    import ccxt

T = TypeVar("T")

#: Candles to ask for in one request where ccxt does not know the exchange's own limit.
DEFAULT_PAGE = 500

#: How far ahead an exchange's clock may be without a forming candle being taken for a closed one.
#: An exchange's newest candle must have closed so long ago by that clock, or another must follow.
CLOCK_ERROR_MS = 3_600_000

FROM_FILES = "use candles of your own (data=file, or scripts/fetch market=MARKET import=PATH)"

#: The end of every sentence about an exchange that does not answer.
KEPT = (
    "What was fetched before, if anything, is kept: run again later to go on from there, or"
    f" {FROM_FILES}."
)

#: ccxt has one exception for "slow down" and for "you are banned"; only the words differ
#: (Binance: status 418 and "IP banned until <ms>"; Kraken: "Temporary lockout").
_BAN = re.compile(r"(?<!\S)418(?!\S)|\bbanned\b|\blockout\b", re.IGNORECASE)
_BAN_END = re.compile(r"until (\d{13})\b")


@dataclass(frozen=True)
class Backoff:
    """Seconds before the next attempt: ``first_s``, doubled each time, at most ``longest_s``.

    Each is shortened at random by up to half, so that many runs do not ask again all at once. A
    longer Retry-After of the exchange is waited for in full, up to ``patience_s``.
    """

    attempts: int = 6
    first_s: float = 1.0
    longest_s: float = 30.0
    patience_s: float = 300.0


def new_client(exchange_id: str, network: Network = AS_USUAL) -> ccxt.Exchange:
    """Make a client for public data, which hides nothing of an answer.

    Raises
    ------
    UserError
        If ccxt does not know the exchange, or the authorities of the network cannot be read.
    """
    client = ccxt_class(exchange_id)
    client.session = new_session(network)
    _unveil(client)
    return client


#: What ccxt calls the kinds of markets that are traded here, where it loads them one by one.
_SPOT, _PERPETUAL = ("spot",), ("linear", "swap", "contract")


def load_markets(client: ccxt.Exchange, symbol: str = "") -> dict[str, Any]:
    """Ask for the markets of a symbol's kind: Binance has those of others on two more servers.

    Without a symbol those of both kinds that are traded here.
    """
    options = client.options.get("fetchMarkets")
    kinds = options.get("types") if isinstance(options, dict) else None
    if isinstance(kinds, list) and not client.markets:
        wanted = {*(_PERPETUAL if ":" in symbol else _SPOT), *(() if symbol else _PERPETUAL)}
        options["types"] = [kind for kind in kinds if kind in wanted] or kinds
    markets: dict[str, Any] = client.load_markets()
    return markets


def _unveil(client: Any) -> None:
    """Undo two habits of ccxt that make a bad answer look like the end of the history."""
    import ccxt

    fetch, parse_ohlcvs = client.fetch, client.parse_ohlcvs

    def fetch_json(*args: Any, **options: Any) -> Any:
        """Refuse text and ``{}``, which ccxt hands on and then finds no candles (or markets) in."""
        answer = fetch(*args, **options)
        if not isinstance(answer, dict | list):
            raise ccxt.BadResponse(f"{client.id} answered with invalid JSON: {answer[:60]!r}...")
        if answer == {}:
            raise ccxt.BadResponse(f"{client.id} answered with nothing: {{}}")
        return answer

    def parse_all(rows: Any, market: Any = None, *_: Any, **__: Any) -> Any:
        """Keep the rows before ``since``, which tell that an exchange ignored it."""
        return parse_ohlcvs(rows, market)

    client.fetch, client.parse_ohlcvs = fetch_json, parse_all


@dataclass(frozen=True)
class Connection:
    """One market of one exchange, or all; every failure is a `UserError` that names it.

    ``kept`` is the end of the sentence about one that does not answer.
    """

    client: ccxt.Exchange
    symbol: str
    timeframe: str
    backoff: Backoff
    note: Note
    kept: str = KEPT
    #: Set by another thread to end the asking with a `KeyboardInterrupt`.
    stop: Event | None = None
    network: Network = AS_USUAL

    def __str__(self) -> str:
        return " ".join(filter(None, (self.client.id, self.symbol, self.timeframe)))

    def failure(self, reason: str) -> UnreachableError:
        """Make the error of an exchange that gave no usable answer."""
        return UnreachableError(f"{self}: {reason}. {self.kept}")

    def check_market(self, timeframe_needed: bool = True) -> MarketFacts:
        """Return what the exchange says of the market.

        Raises
        ------
        UserError
            If it lacks the timeframe (unless candles are built here) or the symbol, or the symbol
            is a contract that is not traded here.
        """
        offered = self.client.timeframes or {}
        if timeframe_needed and self.timeframe not in offered:
            raise UserError(_no_timeframe(self.client.id, self.timeframe, offered))
        markets = self.ask(partial(load_markets, self.client, self.symbol))
        if self.symbol not in markets:
            raise UserError(
                f"{self.client.id} has no market '{self.symbol}', but {len(markets)} others."
                + suggestion(self.symbol, markets)
            )
        facts = facts_of(self.client, self.symbol)
        refuse_untraded(facts, self.client.id, self.symbol)
        return facts

    def now(self) -> int:
        """Return the time, milliseconds, by which candles count as closed: the exchange's own.

        This machine's where the exchange's clock is so far ahead that candles would close early.
        """
        import ccxt

        def call() -> int:
            time = self.client.fetch_time()
            if time is None:
                raise ccxt.BadResponse(f"{self.client.id} answered without the time")
            return int(time)

        ours = int(self.client.milliseconds())
        theirs = self.ask(call) if self.client.has["fetchTime"] else ours
        if theirs <= ours + CLOCK_ERROR_MS:
            return theirs
        self.note(
            f"{self}: the exchange's clock is {(theirs - ours) / 3_600_000:,.1f} h ahead of this"
            f" machine's, and one of them is wrong: what closed after {utc(ours)} is left out."
        )
        return ours

    @property
    def page(self) -> int:
        """Most candles of one answer."""
        limit = self.client.feature_value(self.symbol, "fetchOHLCV", "limit", DEFAULT_PAGE)
        return int(limit)

    def answered_ms(self) -> int | None:
        """Return when the exchange gave its newest answer, by the clock in the head of it.

        Milliseconds, of whole seconds, as candles close: one had closed by then just if this is not
        before its close, whatever this machine's clock says. None where the head does not tell.
        """
        head = self.client.last_response_headers or {}
        dates = [value for name, value in head.items() if name.lower() == "date"]
        try:
            return int(parsedate_to_datetime(dates[0]).timestamp()) * 1000
        except (IndexError, TypeError, ValueError):
            return None

    def candles_from(self, since: int, step_ms: int) -> Float:
        """Ask for one page of candles that open at ``since`` or later.

        An answer counts as a failure if all of it is before ``since`` or a row cannot be a candle:
        stored, it would stay.

        Returns
        -------
        float64 array of shape (n, 6)
            In the order of `COLUMNS`, by time, one row a time. The last may still be forming.
        """
        import ccxt

        def call() -> Float:
            answer = self.client.fetch_ohlcv(self.symbol, self.timeframe, since, self.page)
            rows = np.array(answer, dtype=np.float64).reshape(-1, len(COLUMNS))
            impossible = impossible_rows(rows, step_ms)
            if impossible.any():
                raise ccxt.BadResponse(
                    f"{self.client.id} answered with a row that cannot be a candle:"
                    f" {answer[int(np.argmax(impossible))]}"
                )
            # From the back: of two rows of one time the later one stays.
            _, last = np.unique(rows[::-1, 0], return_index=True)
            rows = rows[::-1][last]
            # The candle just before `since` alone is how some exchanges say "nothing new".
            nothing_new = len(rows) == 1 and rows[0, 0] + step_ms == since
            if len(rows) and rows[-1, 0] < since and not nothing_new:
                raise ccxt.BadResponse(
                    f"{self.client.id} ignores the start it is asked for: its pages do not advance"
                )
            return rows

        return self.ask(call)

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds) if self.stop is None else self.stop.wait(seconds)

    def check_stop(self) -> None:
        """End the work in this thread with a `KeyboardInterrupt` where another asks for it."""
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt

    def steadily(
        self, ask: Callable[[], T], whole: Callable[[T], bool], content: Callable[[T], Float]
    ) -> T:
        """Ask until an answer is whole, or two in a row have the same content.

        A hole may be the exchange's own (an outage, a listing, no trades) or an accident of one
        answer, which must not be stored: it would never be asked for again.

        Raises
        ------
        UnreachableError
            After the last of the attempts.
        """
        before: Float | None = None
        for _ in range(self.backoff.attempts):
            answer = ask()
            if whole(answer):
                return answer
            now = content(answer)
            if before is not None and np.array_equal(before, now):
                return answer
            before = now
        raise self.failure("the exchange answers the same question differently each time")

    def ask(self, call: Callable[[], T]) -> T:
        """Call until the client answers, and note every failure before the next attempt.

        Raises
        ------
        UserError
            If the exchange refuses.
        UnreachableError
            After the last of the attempts, and at once on what would fail again (`cause_of`) and on
            a ban, which asking on would lengthen.
        """
        import ccxt  # 0.4 s: only for those who fetch

        client, backoff = self.client, self.backoff
        jitter = np.random.default_rng()
        wait_s = backoff.first_s
        attempt = 1
        while True:
            # A lost connection leaves the headers of the answer before.
            client.last_response_headers = None
            self.check_stop()
            try:
                return call()
            except ccxt.BaseError as error:
                retry_after_s = _retry_after(client.last_response_headers)
                reason = self._passing(error, retry_after_s)
                if attempt == backoff.attempts:
                    raise self.failure(
                        f"no answer in {attempt} attempts; the last: {reason}"
                    ) from error
                if retry_after_s > backoff.patience_s:
                    wait = f"the exchange asks to wait {retry_after_s:.0f} s ({error})"
                    raise self.failure(wait) from error
                pause_s = max(wait_s * jitter.uniform(0.5, 1.0), retry_after_s)
                attempt += 1
                retry = f"attempt {attempt} of {backoff.attempts} in {pause_s:.1f} s"
                self.note(f"{self}: {reason}; {retry}")
            self._pause(pause_s)
            wait_s = min(2 * wait_s, backoff.longest_s)

    def _passing(self, error: ccxt.BaseError, retry_after_s: float) -> str:
        """Say why an attempt failed; raise where the next one would fail too."""
        import ccxt

        cause = cause_of(error, self.network)
        if cause is not None:
            if not cause.may_pass:
                raise self.failure(cause.reason) from error
            return cause.reason
        if isinstance(error, ccxt.BadSymbol):
            raise UserError(f"{self}: the exchange refused the symbol: {error}") from error
        if not isinstance(error, ccxt.OperationFailed):
            raise UserError(f"{self}: the exchange refused: {error}") from error
        if isinstance(error, ccxt.DDoSProtection) and _BAN.search(str(error)):
            raise BannedError(str(self.failure(_ban(str(error), retry_after_s)))) from error
        return _reason(error)


def _no_timeframe(exchange: str, timeframe: str, offered: Iterable[str]) -> str:
    """Say which candles an exchange serves, and from which of them others can be built."""
    if not offered:
        return f"{exchange} serves no candles through ccxt: {FROM_FILES}."
    step = TIMEFRAMES[timeframe]
    finer = [o for o in offered if o in TIMEFRAMES and step % TIMEFRAMES[o] == 0]
    way = f" data.resample_from={finer[-1]} builds them." if finer else ""
    return f"{exchange} has no {timeframe} candles; it has {', '.join(offered)}.{way}"


def impossible_rows(rows: Float, step_ms: int) -> Bool:
    """Mark rows that cannot be candles; rows that are odd but possible are measured later."""
    time, _, high, low, _, volume = rows.T
    with np.errstate(invalid="ignore"):  # a time that is no number has no remainder
        on_grid = time % step_ms == 0
    priced = (rows[:, 1:5] > 0).all(axis=1) & (low <= high)
    possible: Bool = (np.abs(rows) <= LARGEST).all(axis=1) & on_grid & priced & (volume >= 0)
    return ~possible


def _reason(error: BaseException) -> str:
    """Name an error with the one that caused it: ccxt names the request, not why it failed."""
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    reason = getattr(cause, "strerror", None)
    return f"{error} ({reason})" if reason else str(error)


def _retry_after(headers: object) -> float:
    """Read Retry-After (RFC 9110, 10.2.3), a number or a date, as seconds; 0 for none."""
    value = headers.get("Retry-After") if hasattr(headers, "get") else None
    if value is None:
        return 0.0
    if str(value).isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _ban(message: str, retry_after_s: float) -> str:
    """Say until when the exchange has banned this address."""
    until = _BAN_END.search(message)
    if until:
        end = f"until {utc(int(until[1]))}"
    elif retry_after_s:
        end = f"until {utc(round(time.time() + retry_after_s) * 1000)}"
    else:
        end = "for a time that it does not say"
    return (
        f"the exchange has banned this address {end}; asking on would lengthen it."
        f" It said: {message}"
    )
