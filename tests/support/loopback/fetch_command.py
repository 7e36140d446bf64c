"""`scripts/fetch` with its network rewritten: what follows are the command's overrides.

The loopback's address is in the environment; without one the addresses are the exchanges' own, to
which only a proxy of the loopback leads (``data.proxy``). Failures are
waited out in less time than an exchange would take, and Kraken is asked as often as Binance, every
50 ms; in all else this is the command.
"""

import os
import runpy
from functools import partial

from pipeline.market_data.exchange import fetching, funding
from pipeline.market_data.exchange.connection import Backoff
from support.loopback.clients import pointed

if __name__ == "__main__":
    for module in (fetching, funding):
        module.new_client = lambda name: pointed(
            name, os.environ.get("LOOPBACK_EXCHANGE"), rateLimit=50
        )
        module.Backoff = partial(Backoff, first_s=0.02)
    runpy.run_module("pipeline.fetch", run_name="__main__", alter_sys=True)
