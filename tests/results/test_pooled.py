"""Which markets of a sweep are pooled with which."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.results import pooled
from pipeline.results.artifacts import DailySeries
from pipeline.results.pooled import pooled_verdicts
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


def test_real_and_generated_candles_and_strategies_are_pooled_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def series(root: Path, identity: str) -> DailySeries:
        assert root == tmp_path
        return DailySeries(DAY, np.sin(DAY + ord(identity)))

    monkeypatch.setattr(pooled, "read_out_of_sample", series)
    pools = pooled_verdicts(tmp_path, MEMBERS, 1)
    assert [(p.synthetic, p.strategy, p.markets, p.coins, p.left_out) for p in pools] == [
        (False, "S", 3, 2, 1),
        (False, "T", 2, 2, 1),
        (True, "S", 2, 2, 1),
    ]
    together = np.mean([np.sin(DAY + ord(identity)) for identity in "ace"], axis=0)
    assert pools[0].net_profit == pytest.approx(np.prod(1.0 + together) - 1.0)


def test_a_series_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out-of-sample days of a cannot be read from"):
        pooled_verdicts(tmp_path, MEMBERS, 0)
