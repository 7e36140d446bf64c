"""Which markets of a sweep are pooled with which."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.results.artifacts import pooled
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.results.artifacts.pooled import pooled_verdicts
from pipeline.results.records import SweepMember

DAY = np.arange(40, dtype=np.int32)


def member(identity: str, strategy: str, pair: str, synthetic: bool) -> SweepMember:
    return SweepMember(identity, strategy, pair, synthetic, 0.01)


MEMBERS = [
    member("a", "S", "BTC/USDT", False),
    member("b", "S", "DEMO/USDT", True),
    member("c", "S", "BTC/USD", False),
    member("d", "T", "ETH/USDT", False),
    member("e", "S", "ETH/USDT", False),
    member("f", "T", "SOL/USDT", False),
    member("g", "S", "OTHER/USDT", True),
    member("h", "T", "DEMO/USDT", True),
]


@pytest.fixture
def series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Returns that tell configurations apart."""

    def read(file: Path) -> DailySeries:
        return DailySeries(DAY, np.sin(DAY + ord(file.parent.name)))

    monkeypatch.setattr(pooled, "read_series", read)


@pytest.mark.usefixtures("series")
def test_real_and_generated_candles_and_strategies_are_pooled_apart(tmp_path: Path) -> None:
    stored = {f"m{number}": member for number, member in enumerate(MEMBERS)}
    pools = pooled_verdicts(tmp_path, {**stored, "nothing": None})
    assert [(p.synthetic, p.strategy, p.markets, p.coins, p.left_out) for p in pools] == [
        (False, "S", 3, 2, 1),
        (False, "T", 2, 2, 1),
        (True, "S", 2, 2, 1),
    ]
    together = np.mean([np.sin(DAY + ord(identity)) for identity in "ace"], axis=0)
    assert pools[0].net_profit == pytest.approx(np.prod(1.0 + together) - 1.0)


@pytest.mark.usefixtures("series")
def test_searches_of_the_same_markets_are_pooled_apart(tmp_path: Path) -> None:
    """In a sweep over strategies each pool counts what its own searches left out."""
    stored: dict[str, SweepMember | None] = {}
    for number, one in enumerate(MEMBERS[2:4] * 2):
        search = "optimizer=grid" if number < 2 else "mine"
        stored[f"m{number % 2} {search}"] = SweepMember(
            one.configuration_id, "S", one.pair, False, 0.01
        )
    pools = pooled_verdicts(tmp_path, {**stored, "m3 mine": None, "m4 mine": None, "m5": None})
    assert [(pool.strategy, pool.markets, pool.left_out) for pool in pools] == [
        ("S", 2, 2),
        ("S (optimizer=grid)", 2, 0),
    ]


def test_a_series_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out-of-sample days of a cannot be read from"):
        pooled_verdicts(tmp_path, {"m": MEMBERS[0]})
