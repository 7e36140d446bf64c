"""The REST API under ``/api``: a thin skin of HTTP over `pipeline.web.service` (docs/api.md)."""
