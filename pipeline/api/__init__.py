"""The REST API under ``/api``: a thin skin of HTTP over `pipeline.service` (docs/api.md)."""
