"""Serve the REST API, the Strategy Studio and commands: requests in, answers out.

Requests are Pydantic models with bounds, answers are records and models; nothing here knows HTTP.
"""
