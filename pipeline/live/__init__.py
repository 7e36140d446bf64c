"""Carry stored configurations into live candles: signals and paper trading (docs/live.md)."""
