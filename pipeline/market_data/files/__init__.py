"""Read and import candle files."""
