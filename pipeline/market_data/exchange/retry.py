"""Asking an exchange until it answers: what passes by is waited out, a ban or a refusal is not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.cli.console import Note
from pipeline.errors import UnreachableError, UserError
from pipeline.market_data.timeframe import utc

if TYPE_CHECKING:
    import ccxt

T = TypeVar("T")

#: The end of every sentence about an exchange that does not answer.
KEPT = (
    "What was fetched before, if anything, is kept: run again later to go on from there, or use"
    " candles of your own (data=file, or python -m pipeline.fetch import=PATH)."
)

#: ccxt has one exception for "slow down" and for "you are banned"; only the words differ
#: (Binance: status 418 and "IP banned until <ms>"; Kraken: "Temporary lockout").
_BAN = re.compile(r"(?<!\S)418(?!\S)|\bbanned\b|\blockout\b", re.IGNORECASE)
_BAN_END = re.compile(r"until (\d{13})\b")


@dataclass(frozen=True)
class Backoff:
    """Seconds before the next attempt: ``first_s``, doubling up to ``longest_s``.

    Each is shortened at random by up to half, so that many runs do not knock again all at once.
    An exchange's own Retry-After is waited for in full when it is longer, up to ``patience_s``.
    """

    attempts: int = 6
    first_s: float = 1.0
    longest_s: float = 30.0
    patience_s: float = 300.0


def ask(call: Callable[[], T], client: ccxt.Exchange, name: str, backoff: Backoff, note: Note) -> T:
    """Call until it succeeds.

    Parameters
    ----------
    call : callable
        Asks the exchange through ``client``.
    name : str
        What errors call the thing that was asked for.

    Raises
    ------
    UserError
        If the exchange refuses: the same question would be refused again.
    UnreachableError
        After the last of the attempts, and at once on a ban, which asking on would lengthen.
    """
    import ccxt  # 0.4 s: only for those who fetch

    jitter = np.random.default_rng()
    wait_s = backoff.first_s
    attempt = 1
    while True:
        client.last_response_headers = None  # a lost connection leaves those of the answer before
        try:
            return call()
        except ccxt.BadSymbol as error:
            raise UserError(f"{name}: the exchange refused the symbol: {error}") from error
        except ccxt.ExchangeError as error:
            raise UserError(f"{name}: the exchange refused: {error}") from error
        except ccxt.OperationFailed as error:
            asked_s = _retry_after(client.last_response_headers)
            if isinstance(error, ccxt.DDoSProtection) and _BAN.search(str(error)):
                raise UnreachableError(_banned(name, str(error), asked_s)) from error
            if attempt == backoff.attempts:
                raise UnreachableError(
                    f"{name}: no answer in {attempt} attempts; the last: {_told(error)}. {KEPT}"
                ) from error
            if asked_s > backoff.patience_s:
                raise UnreachableError(
                    f"{name}: the exchange asks to wait {asked_s:.0f} s ({error}). {KEPT}"
                ) from error
            pause_s = max(wait_s * jitter.uniform(0.5, 1.0), asked_s)
            attempt += 1
            said = f"attempt {attempt} of {backoff.attempts} in {pause_s:.1f} s"
            note(f"{name}: {_told(error)}; {said}")
        time.sleep(pause_s)
        wait_s = min(2 * wait_s, backoff.longest_s)


def _told(error: BaseException) -> str:
    """Tell an error with what lies behind it: ccxt names the request, not why it failed."""
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    reason = getattr(cause, "strerror", None)
    return f"{error} ({reason})" if reason else str(error)


def _retry_after(headers: object) -> float:
    """Seconds that the answer asks to wait: RFC 9110, 10.2.3, a number or a date; 0 for none."""
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


def _banned(name: str, message: str, asked_s: float) -> str:
    named = _BAN_END.search(message)
    if named:
        end = f"until {utc(int(named[1]))}"
    elif asked_s:
        end = f"until {utc(round(time.time() + asked_s) * 1000)}"
    else:
        end = "for a time that it does not say"
    return (
        f"{name}: the exchange has banned this address {end}; asking on would lengthen it."
        f" It said: {message}. {KEPT}"
    )
