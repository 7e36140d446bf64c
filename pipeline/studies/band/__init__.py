"""Calibrate the band and the sequential test of live days (validation rules §8.5)."""
