"""From candles to a verdict: data, strategies, search, validation, results, and the commands."""

from pipeline.cli.early import guard

guard()  # before anything that takes time

__version__ = "0.1.0"
