"""Catch a strategy that looks ahead, before anything is searched (docs/look-ahead.md)."""

from pipeline.causality.finding import Finding
from pipeline.causality.look_ahead import Examination, refuse_look_ahead, settings_of

__all__ = ["Examination", "Finding", "refuse_look_ahead", "settings_of"]
