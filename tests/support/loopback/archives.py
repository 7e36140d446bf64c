"""Binance's public archive: a zip a month with its SHA-256 beside it, and what may befall them."""

import hashlib
import io
import re
import zipfile
from enum import Enum
from threading import Lock

import numpy as np

from support.loopback.faults import Fault

PLACE = re.compile(
    r"/data/(spot|futures/um)/monthly/(klines/(?P<pair>\w+)/(?P<timeframe>\w+)"
    r"/(?P=pair)-(?P=timeframe)|fundingRate/(?P<contract>\w+)/(?P=contract)-fundingRate)"
    r"-(?P<month>\d{4}-\d\d)\.zip(?P<checksum>\.CHECKSUM)?"
)

#: From this year on spot files count microseconds.
MICROSECONDS_FROM = "2025"


class ArchiveFault(Enum):
    """One way in which a file of the archive goes wrong; `Fault` has those of every answer."""

    ABSENT = "404"
    WRONG_CHECKSUM = "a checksum of another file"
    TRUNCATED_ZIP = "a zip that is cut short, with the checksum of what is there"
    FORBIDDEN = "403"


class MonthFiles:
    """The months that are over of an exchange's candles; ``script`` and ``faults`` spoil them.

    Attributes
    ----------
    script : list
        Faults of the next zips, one each; None is none.
    absent : set of str
        Months such as ``2023-02`` that it lacks.
    paths : list of str
        What was asked for, oldest first.
    """

    def __init__(self, exchange):
        self.exchange, self.script, self.absent, self.paths = exchange, [], set(), []
        self.share, self.rng = 0.0, np.random.default_rng(0)
        self._spoilt, self._zips = {}, {}
        self._lock = Lock()

    @property
    def asked(self):
        """Names of the files that were asked for, oldest first."""
        return [path.rpartition("/")[2] for path in self.paths]

    def respond(self, path):
        """Status, body and fault of the answer."""
        match = PLACE.fullmatch(path)
        with self._lock:
            self.paths.append(path)
            pair = match and (match["pair"] or match["contract"])
            if pair != self.exchange.symbol.partition(":")[0].replace("/", ""):
                return 404, b"no such key", None
            month, name = match["month"], path.removesuffix(".CHECKSUM")
            if not match["checksum"]:
                self._spoilt[name] = self._draw()
            fault = self._spoilt.get(name)
        if name not in self._zips:
            self._zips[name] = self._zip(match["timeframe"], month, name.rpartition("/")[2])
        content = self._zips[name]
        if content is None or month in self.absent or fault is ArchiveFault.ABSENT:
            return 404, b"no such key", None
        if fault is ArchiveFault.FORBIDDEN:
            return 403, b"forbidden", None
        if fault is ArchiveFault.TRUNCATED_ZIP:
            content = content[: len(content) // 2]
        if match["checksum"]:
            wrong = b"x" if fault is ArchiveFault.WRONG_CHECKSUM else b""
            digest = hashlib.sha256(content + wrong).hexdigest()
            return 200, f"{digest}  {name.rpartition('/')[2]}\n".encode(), None
        if fault is Fault.UNAVAILABLE:
            return 503, b"unavailable", fault
        return 200, content, fault if isinstance(fault, Fault) else None

    def _draw(self):
        if self.script:
            return self.script.pop(0)
        if self.rng.random() < self.share:
            kinds = [*ArchiveFault, Fault.UNAVAILABLE, Fault.TRUNCATED, Fault.RESET, Fault.SLOW]
            return kinds[self.rng.integers(len(kinds))]
        return None

    def _zip(self, timeframe, month, name):
        """The file of a month; None where it is not over, or has no candle."""
        start, end = (
            int((np.datetime64(month, "M") + n).astype("datetime64[ms]").astype(int))
            for n in (0, 1)
        )
        everything = (
            self.exchange.history.get(timeframe, ()) if timeframe else self.exchange.funding
        )
        rows = [row for row in everything if start <= row[0] < end]
        if not rows or end > self.exchange.now:
            return None
        unit = 1_000 if month >= MICROSECONDS_FROM else 1
        rest = "0,1,0,0,0"
        lines = [
            f"{row[0] * unit},{','.join(map(str, row[1:]))},{row[0] * unit},{rest}" for row in rows
        ]
        if timeframe is None:
            lines = ["calc_time,funding_interval_hours,last_funding_rate"]
            lines += [f"{time},8,{rate:.8f}" for time, rate in rows]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name.replace(".zip", ".csv"), "\n".join(lines) + "\n")
        return packed.getvalue()
