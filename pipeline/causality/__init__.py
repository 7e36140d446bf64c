"""Catch a strategy that looks ahead, before anything is searched (docs/look-ahead.md)."""

from pipeline.causality.look_ahead import Examination
from pipeline.causality.refusal import refuse_look_ahead, settings_of

__all__ = ["Examination", "refuse_look_ahead", "settings_of"]
