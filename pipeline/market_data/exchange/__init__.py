"""Fetch candles from an exchange through ccxt."""
