"""Strategies: candles in, event tables out. Everything here runs with NumPy alone."""
