"""The Strategy Studio: web pages over `pipeline.service` (docs/studio.md)."""

from pipeline.studio.mounting import mount

__all__ = ["mount"]
