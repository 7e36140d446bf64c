"""Reach a database: connect, wait, and let one process alone write what it owns."""
