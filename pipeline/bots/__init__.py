"""Hand a stored configuration to programs that trade: freqtrade's strategy file, plain tables."""
