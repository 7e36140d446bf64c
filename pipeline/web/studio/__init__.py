"""The Strategy Studio: web pages over `pipeline.web.service` (docs/studio.md)."""
