"""Catch a strategy that looks ahead, before anything is searched (docs/look-ahead.md)."""

from pipeline.causality.checked_settings import settings_of
from pipeline.causality.look_ahead import Examination, refuse_look_ahead

__all__ = ["Examination", "refuse_look_ahead", "settings_of"]
