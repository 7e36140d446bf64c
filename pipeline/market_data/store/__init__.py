"""Keep fetched candles on disk, one file a month."""
