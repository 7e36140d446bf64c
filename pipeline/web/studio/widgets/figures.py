"""Draw the figures of a report's markup in their places.

Sections come as markup with an empty element for each figure; a figure is teleported into it.
"""

from nicegui import ui

from pipeline.report.theme import Figure
from pipeline.web.studio.frame import Chart, Theme


def place(name: str, theme: Theme, figure: Figure) -> Chart:
    """Draw a figure in the place of its name."""
    with inside(f"#{name}"):
        return theme.draw(figure).classes("filling")


def inside(selector: str) -> ui.teleport:
    """Open an element of the markup; what is made there stays there."""
    teleport = ui.teleport(selector)
    # Each update of a teleport makes its contents anew, and the plot that was there never learns
    # that it is gone. No public switch turns this off (NiceGUI 3.18): hence the private one.
    teleport._update_method = None
    return teleport
