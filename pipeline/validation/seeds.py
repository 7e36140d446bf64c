"""Random numbers of the tests: each has a key of its own under the run's seed.

So no test's draws depend on whether another one ran. Searches use other sequences (no spawn key).
"""

from __future__ import annotations

import numpy as np

REALITY_CHECK, SURROGATES, BANDS = range(3)


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of one test, ``key`` one of those above and what it numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
