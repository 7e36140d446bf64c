"""The Strategy Studio: web pages over `pipeline.web.service` (docs/studio.md)."""

from pipeline.web.studio.mounting import mount

__all__ = ["mount"]
