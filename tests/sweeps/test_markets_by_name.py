import pytest

from pipeline.config.catalogue import chosen_markets
from pipeline.errors import UserError


def test_all_are_the_24_real_ones():
    found = chosen_markets(["all"])
    assert len(found) == len(set(found)) == 24
    assert found == sorted(found)
    assert not any(name.startswith("demo") for name in found)


def test_patterns_and_names_together():
    assert chosen_markets(["btc_*_4h", "sol_kraken_1h", "btc_kraken_4h"]) == [
        "btc_binance_4h", "btc_kraken_4h", "sol_kraken_1h",
    ]  # fmt: skip


def test_invented_candles_only_by_their_name():
    assert chosen_markets(["demo", "demo_null"]) == ["demo", "demo_null"]
    assert "demo" not in chosen_markets(["*"])


@pytest.mark.parametrize("word", ["btc_binance_1d", "btc_binanse_1h"])
def test_an_unknown_market_is_refused_with_the_nearest(word):
    with pytest.raises(UserError, match=rf"markets={word} is no market: .* Did you mean 'btc_bin"):
        chosen_markets(["eth_binance_1h", word])


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UserError, match=r"markets=doge_\* is no market"):
        chosen_markets(["doge_*"])
