"""Measure candles and refuse those beyond the limits."""
