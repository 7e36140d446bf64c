"""`scripts/paper` with its network and its clock rewritten: what follows are configurations.

The loopback's address and the file that tells the time in milliseconds are in the environment.
"""

import os
import sys
from functools import partial
from pathlib import Path
from threading import Event

from pipeline.config import StoredConfig, load
from pipeline.live import clients
from pipeline.live.follower import Follower
from pipeline.market_data.exchange import fetching
from pipeline.results.database import open_database
from support.loopback.clients import pointed


def client(name, *_):
    return pointed(name, os.environ["LOOPBACK_EXCHANGE"], rateLimit=1)


def clock():
    return int(Path(os.environ["LOOPBACK_CLOCK"]).read_text() or 0)


if __name__ == "__main__":
    fetching.new_client = clients.new_client = client
    config = load([], StoredConfig, "stored")
    with open_database(config.storage.url, 60.0) as repository:
        assert repository.follower.claim(), "the one before is dead"
        note = partial(print, file=sys.stderr, flush=True)
        follower = Follower(repository, config.storage, sys.argv[1:], note, clock)
        follower.run(Event())
