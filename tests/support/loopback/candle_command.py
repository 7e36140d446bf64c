"""The server's process for candles with its network rewritten, as `fetch_command`."""

import os
import runpy
from functools import partial

from pipeline.market_data.exchange import fetching, funding
from pipeline.market_data.exchange.connection import Backoff
from support.loopback.clients import pointed

if __name__ == "__main__":
    for module in (fetching, funding):
        module.new_client = lambda name: pointed(name, os.environ["LOOPBACK_EXCHANGE"], rateLimit=1)
        module.Backoff = partial(Backoff, first_s=0.02)
    runpy.run_module("pipeline.web.service.candle_process", run_name="__main__", alter_sys=True)
