"""The batch engine: candles and event tables in, metrics of any number of combinations out."""
