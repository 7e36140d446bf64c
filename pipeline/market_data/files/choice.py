"""Choose among files those of a market, by their names and by what they say of their contract."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import NotCandlesError, UserError, first_of
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.layouts import Notation
from pipeline.market_data.files.names import CONTRACT_NAMES, MarketName, market_in
from pipeline.market_data.files.numbers import Decimal
from pipeline.market_data.files.reading import Content

#: Where an exchange trades its perpetual contracts under another name in ccxt.
PERPETUALS = {"binance": "binanceusdm", "kraken": "krakenfutures", "kucoin": "kucoinfutures"}


@dataclass(frozen=True)
class Request:
    """Files to read, the market that they are to be of, and the door by which they come.

    Attributes
    ----------
    path : Path
        A file, a zip, or a folder with any depth of folders.
    exchange : str
        The market's, such as ``kraken``.
    pair : str
        Such as ``BTC/USDT``, or ``BTC/USDT:USDT`` of a perpetual contract; Kraken's ``XBT`` and
        ``XDG`` are understood.
    timeframe : str
        Such as ``5m``.
    door : {"import", "data.path"}
        The key that gives the path. Files that are imported must be of the market's exchange, and
        their rows are united; one that is trained on may stand for another's, and its rows are
        judged as they come.
    zone : str or None
        Where times without an offset are from.
    decimal : {"point", "comma"} or None
    growing : bool
        Whether somebody appends to the file: its last line may be a part of one.
    """

    path: Path
    exchange: str
    pair: str
    timeframe: str
    door: Literal["import", "data.path"] = "import"
    zone: str | None = None
    decimal: Decimal | None = None
    growing: bool = False

    @property
    def market(self) -> str:
        """``BTC/USDT 5m``."""
        return f"{self.pair} {self.timeframe}"

    @property
    def unites(self) -> bool:
        """Whether the rows of all files become one history, sorted, each time once."""
        return self.door == "import"

    @property
    def notation(self) -> Notation:
        """What the user says of the file, and the words to say more."""
        prefix = "" if self.door == "import" else "data."
        return Notation(
            base=self.pair.split("/")[0],
            decimal=self.decimal,
            zone=self.zone,
            number_advice=f"Say it: {prefix}decimal=comma or {prefix}decimal=point.",
            zone_advice=(
                f"If a date in it has no offset, say where it is from: {prefix}timezone=ZONE, such"
                f" as {prefix}timezone=Europe/Berlin, or {prefix}timezone=UTC."
            ),
        )


def of_market(files: list[Member], request: Request) -> tuple[list[Member], list[str]]:
    """Choose the files whose names have no other market, and count the others in a note.

    A single file that is trained on may have any quote and timeframe in its name: its rows tell.

    Raises
    ------
    UserError
        If there is none.
    """
    above = request.path.resolve().parts[:-1]
    chosen: list[Member] = []
    others: Counter[MarketName] = Counter()
    for file in files:
        name = market_in(file.parts, above)
        if len(files) == 1 and not request.unites:
            name = MarketName(None, None, name.contract, name.prices)
        if name.contradicts(request.pair, request.timeframe):
            others[name] += 1
        else:
            chosen.append(file)
    if not chosen:
        raise _nothing(others, request)
    if not others:
        return chosen, []
    count = others.total()
    left_out = f"{count} file{'s' if count > 1 else ''}"
    return chosen, [f"{request.path}: {left_out} of other markets or timeframes left out."]


def _nothing(others: Counter[MarketName], request: Request) -> UserError:
    names = first_of(sorted({str(name) or "nothing" for name in others}), 5)
    start = (
        f"{request.path} has no candles of {request.market}; by the names of its files it has"
        f" {names}."
    )
    kinds = {name.prices for name in others}
    if None not in kinds:
        return UserError(
            f"{start} At such prices nobody traded: take the files of the trades' candles"
            " (klines, -futures), or rename them if their names are wrong."
        )
    contracts = {name.contract for name in others if not name.prices}
    if None in contracts:
        words = next(filter(None, (name.words for name in sorted(others, key=str))), "")
        such = f": {words}" if words else " (market.base and market.quote may be any)"
        return UserError(
            f"{start} Choose the market of the files{such}; or rename them if their names are"
            " wrong."
        )
    return UserError(f"{start} {_contract_advice(contracts, request)}")


def _contract_advice(contracts: set[str | None], request: Request) -> str:
    """Say which market a file's contract is of."""
    if "linear" in contracts and ":" not in request.pair:
        return (
            "The market is spot, where prices differ and no funding is paid: choose"
            f" {_one_word(request, perpetual=True)} to trade the perpetual contract, or take files"
            " of spot candles."
        )
    if "spot" in contracts and ":" in request.pair:
        return (
            "The market is a perpetual contract, and spot has other prices: choose"
            f" {_one_word(request, perpetual=False)} to trade spot, or take files of the contract."
        )
    if contracts & {"inverse", "dated"}:
        return (
            "Only perpetual contracts that are settled in their quote are traded here: take files"
            " of those (Binance's futures/um), or of spot."
        )
    return "Choose the market of the files, or rename them if their names are wrong."


def _one_word(request: Request, perpetual: bool) -> str:
    """Name the market of the same pair that is, or is not, a perpetual contract."""
    pair = request.pair.split(":")[0]
    names = PERPETUALS if perpetual else {futures: spot for spot, futures in PERPETUALS.items()}
    exchange = names.get(request.exchange, request.exchange)
    settle = f":{pair.split('/')[1]}" if perpetual else ""
    return f"market={exchange}:{pair}{settle}:{request.timeframe}"


def check_contract(content: Content, request: Request) -> None:
    """Refuse an archive of another exchange or contract than the market's, by what is in it.

    Raises
    ------
    UserError
        If it is an import and the archive is of another exchange.
    NotCandlesError
        If it holds candles of a future, and the market is spot.
    """
    layout = content.layout
    if layout is None or layout.archive is None:
        return
    if request.unites and not request.exchange.startswith(layout.archive):
        raise UserError(
            f"{content.member} has the {layout.width} columns of an archive of"
            f" {layout.archive.title()}, but the market is on {request.exchange}: choose the market"
            " of the archive."
        )
    if layout.contract == "spot" and ":" in request.pair:
        raise NotCandlesError(
            f"{content.member} counts microseconds, as only Binance's archives of spot do."
            f" {_contract_advice({'spot'}, request)}",
            "spot",
        )
    if layout.contract == "linear" and ":" not in request.pair:
        advice = _contract_advice({"linear"}, request)
        raise NotCandlesError(
            f"{content.member} has the line of names that Binance gives to its archives of futures,"
            f" and times in milliseconds: it holds {CONTRACT_NAMES['linear']}. {advice} If they are"
            " spot candles, delete that line.",
            CONTRACT_NAMES["linear"],
        )
