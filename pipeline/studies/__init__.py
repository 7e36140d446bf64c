"""Measure the product itself: benchmarks, error rates, golden files."""
