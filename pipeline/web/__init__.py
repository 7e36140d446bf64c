"""Serve the REST API and the Strategy Studio."""
