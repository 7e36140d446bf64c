"""Validate a search: windows, walk-forward, statistics, lifecycle stage."""
