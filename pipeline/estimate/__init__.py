"""Estimate what a run would take before it starts: one timed probe and a sample of trades."""
