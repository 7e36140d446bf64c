from pipeline.config.catalogue import select_markets


def test_all_are_the_24_real_ones():
    found = select_markets(["all"])
    assert len(found) == len(set(found)) == 24
    assert found == sorted(found)
    assert not any(name.startswith("demo") for name in found)


def test_patterns_and_names_together():
    assert select_markets(["btc_*_4h", "sol_kraken_1h", "btc_kraken_4h"]) == [
        "btc_binance_4h", "btc_kraken_4h", "sol_kraken_1h",
    ]  # fmt: skip


def test_invented_candles_only_by_their_name():
    assert select_markets(["demo", "demo_null"]) == ["demo", "demo_null"]
    assert "demo" not in select_markets(["*"])
