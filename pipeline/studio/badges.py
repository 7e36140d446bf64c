"""Stages as badges: a word in a frame, whose colour repeats what the word says."""

from __future__ import annotations

from nicegui import ui

from pipeline.studio.frame import text
from pipeline.validation.stages import Stage


def stage_badge(stage: Stage, synthetic: bool) -> ui.element:
    """Add a stage's badge; results on invented candles say so in it."""
    mark = "SYNTHETIC " if synthetic else ""
    return text("span", f"{mark}{stage}", f"badge stage-{stage.lower()}")
