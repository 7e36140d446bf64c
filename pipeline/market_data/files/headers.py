"""Tell which columns of a table are those of a candle, in the spelling of who wrote it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.errors import NotCandlesError, UserError, first_of, suggestion
from pipeline.market_data.raw import COLUMNS

#: Spellings of each column in letters and digits alone, the likeliest first. freqtrade writes
#: ``date``, Binance ``open_time``, CryptoDataDownload ``Unix``, Dukascopy ``Gmt time``, CoinAPI
#: ``time_period_start``, pandas ``__index_level_0__`` for an index without a name.
SPELLINGS = {
    "timestamp": (
        *("timestamp", "opentime", "unix", "unixtimestamp", "unixtime", "epoch", "datetime"),
        *("date", "time", "timestamputc", "opentimeutc", "datetimeutc", "dateutc", "timeutc"),
        *(
            "gmttime",
            "localtime",
            "timeperiodstart",
            "starttime",
            "startat",
            "start",
            "indexlevel0",
            "ts",
        ),
    ),
    "open": ("open", "openprice", "priceopen", "o"),
    "high": ("high", "highprice", "pricehigh", "h"),
    "low": ("low", "lowprice", "pricelow", "l"),
    "close": ("close", "closeprice", "priceclose", "closelast", "last", "price", "c"),
    "volume": ("volume", "vol", "basevolume", "volumebase", "volumetraded", "v"),
}

#: Assets whose volume is money: what was paid, not what was bought.
MONEY = frozenset(("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "USD", "EUR", "GBP", "JPY"))
MONEY |= frozenset(("KRW", "TRY", "CURRENCY", "QUOTE", "FIAT"))

#: What kinds of rows that are no candles name, the first that fits.
_OTHERS = (
    ("funding rates", ("lastfundingrate",)),
    ("funding rates", ("fundingrate",)),
    ("trades", ("price", "qty")),
    ("trades", ("price", "quantity")),
    ("trades", ("price", "size")),
    ("trades", ("price", "amount")),
    ("trades", ("price", "volume")),
    ("open interest", ("sumopeninterest",)),
    ("an order book", ("bestbidprice",)),
    ("an order book", ("depth",)),
)


class Positions(NamedTuple):
    """Where the columns of a candle stand in a row, from 0.

    The open time may stand in two, its day and its hour; ``figures`` are the four prices and the
    volume.
    """

    time: tuple[int, ...]
    figures: tuple[int, ...]


def positions(names: Sequence[str], path: str, base: str | None = None) -> Positions:
    """Find the columns of a candle among those that are there.

    Where several are spellings of one column, the likeliest counts, and the exact one first.

    Parameters
    ----------
    names : sequence of str
        As the file has them.
    path : str
        What errors call the file.
    base : str, optional
        The market's base: ``Volume BTC`` is the volume of BTC/USDT, ``Volume USDT`` is not.

    Raises
    ------
    NotCandlesError
        If one is missing.
    UserError
        If one is there twice.
    """
    plain = [_plain(name) for name in names]
    found = {column: _position(column, names, plain, path) for column in COLUMNS}
    if found["volume"] is None:
        found["volume"] = _volume_of(base, names, plain, path)
    if found["timestamp"] is None and plain and not plain[0]:
        found["timestamp"] = 0  # the index of a data frame, which has no name
    missing = [column for column in COLUMNS if found[column] is None]
    if missing:
        raise _missing(missing, names, plain, path)
    time, *figures = (int(found[column] or 0) for column in COLUMNS)
    day: tuple[int, ...] = (time,)
    if plain[time] == "date" and plain.count("time") == 1:
        day = (time, plain.index("time"))
    return Positions(day, tuple(figures))


def likeness(names: Sequence[str]) -> int:
    """Count the columns of a candle that a line names, in any spelling."""
    plain = {_plain(name) for name in names}
    return sum(not plain.isdisjoint(SPELLINGS[column]) for column in COLUMNS)


def other_content(names: Sequence[str]) -> str | None:
    """Say what the columns hold where they are those of no candles; None where they may be."""
    plain = {_plain(name) for name in names}
    if {"open", "high", "low"} <= plain:
        return None
    return next((what for what, needed in _OTHERS if plain.issuperset(needed)), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _position(column: str, names: Sequence[str], plain: Sequence[str], path: str) -> int | None:
    for spelled, wanted in ((names, (column,)), (plain, SPELLINGS[column])):
        for spelling in wanted:
            count = spelled.count(spelling)
            if count > 1:
                raise UserError(
                    f"{path} has several columns '{spelling}', and they may differ: take all but"
                    f" one away, or give the others another name. There: {first_of(names)}."
                )
            if count:
                return list(spelled).index(spelling)
    return None


def _volume_of(
    base: str | None, names: Sequence[str], plain: Sequence[str], path: str
) -> int | None:
    """Find ``Volume BTC`` beside ``Volume USDT``; None where no column has such a name."""
    assets = {
        at: name.removeprefix("volume").upper()
        for at, name in enumerate(plain)
        if name.startswith("volume") and name != "volume"
    }
    fitting = [at for at, asset in assets.items() if asset == base]
    if not fitting and base is None:
        fitting = [at for at, asset in assets.items() if asset not in MONEY]
    if len(fitting) == 1:
        return fitting[0]
    if not assets:
        return None
    volumes = " and ".join(f"'{names[at]}'" for at in assets)
    wanted = f"the volume in {base}" if base else "the volume in the asset that is bought"
    raise NotCandlesError(
        f"{path} has {volumes}, and none of them tells that it is {wanted}: call that column"
        " volume, in the line of the names.",
        f"no volume in {base}" if base else "no one volume",
    )


def _missing(
    missing: Sequence[str], names: Sequence[str], plain: Sequence[str], path: str
) -> NotCandlesError:
    other = other_content(names)
    there = first_of([name or "''" for name in names])
    if other:
        return NotCandlesError(
            f"{path} holds {other}, no candles (its columns: {there}): take the file of the"
            " candles.",
            other,
        )
    columns = " and ".join(f"'{column}'" for column in missing)
    hint = suggestion(missing[0], names)
    if missing == ["timestamp"] and "closetime" in plain:
        hint = " A candle's time is its open: 'close time' would be one candle late."
    return NotCandlesError(
        f"{path} has no column {columns}. Needed: {', '.join(COLUMNS)} (or 'date' instead of"
        f" 'timestamp'); there: {there}.{hint} If a column holds it under another name, write the"
        f" needed name in its place in the line of the names; if none does, export it too.",
        f"no column {columns}",
    )
