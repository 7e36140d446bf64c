"""What an estimate is made of: candles at hand, trades to expect, rates of this machine."""
