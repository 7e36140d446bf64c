"""An exchange on the loopback: the network, and only the network, of the real ccxt client.

    with LoopbackBinance({"5m": candles}, now=...) as exchange:
        exchange.fail(Fault.UNAVAILABLE, Fault.RESET)   # the next two answers
        client = exchange.client()                      # as the product makes it, pointed here

`exchange.requests` is what was asked, `exchange.faults.injected` what was done to the answers.
"""

from support.loopback.archives import ArchiveFault
from support.loopback.binance import LoopbackBinance
from support.loopback.binance_futures import LoopbackBinanceFutures, payments
from support.loopback.certificates import Authority
from support.loopback.clients import pointed
from support.loopback.faults import LIES, PASSING, Fault, Faults
from support.loopback.kraken import LoopbackKraken
from support.loopback.okx import LoopbackOkx
from support.loopback.proxy import LoopbackProxy
from support.loopback.series import CANDLE_START, candle_series

__all__ = [
    "CANDLE_START",
    "LIES",
    "PASSING",
    "ArchiveFault",
    "Authority",
    "Fault",
    "Faults",
    "LoopbackBinance",
    "LoopbackBinanceFutures",
    "LoopbackKraken",
    "LoopbackOkx",
    "LoopbackProxy",
    "candle_series",
    "payments",
    "pointed",
]
