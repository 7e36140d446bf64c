"""The table at the end of a sweep."""

from dataclasses import replace

from pipeline.cli.console import Console
from pipeline.sweeps.table import MarketRow, show

MATURE = MarketRow("btc_binance_1h", "MATURE", False, 1.836, 1204, 0.00123, 0.00417, 0.0246, 12.34)
FAILED = MarketRow("a", error="No candles.")


def test_a_row_holds_what_was_found(capsys):
    show(Console(), [MATURE], [])
    out = capsys.readouterr().out
    for cell in (
        "btc_binance_1h",
        "MATURE",
        "1.84",
        "1,204",
        "0.00123",
        "0.00417",
        "0.0246",
        "12.3",
    ):
        assert f" {cell} " in out
    assert "1 market: 1 MATURE." in out
    assert "note" not in out


def test_failures_of_one_cause_are_said_once(capsys):
    show(Console(), [FAILED, MATURE, replace(FAILED, market="b")], [])
    out = capsys.readouterr().out
    assert "3 markets: 1 MATURE, 2 failed." in out
    assert out.endswith("a, b failed: No candles.\n")


def test_a_note_and_generated_candles_show(capsys):
    show(Console(), [replace(MATURE, synthetic=True, note="kept")], [])
    out = capsys.readouterr().out
    assert "SYNTHETIC MATURE" in out
    assert " kept " in out
