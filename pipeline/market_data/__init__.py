"""Candles: from files and exchanges to a regular grid, with a report of what was wrong."""
