"""Draw what every window chose beside what is stored, and mark what no window chose."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.report.theme import Figure, figure, mixed
from pipeline.results.records import Configuration
from pipeline.validation.wording import plural, setting

#: Marks in a cell, which stand behind its value.
UNCHOSEN, EDGES = "≠", {"low": "▼", "high": "▲"}
#: Columns with whose values a page of a report has room.
_WRITTEN = 24

#: Colours from the least to the largest value, even steps of the map "cividis" (Nuñez, Anderton &
#: Renslow 2018, PLOS ONE 13(7)), between which is drawn in straight lines; and what has no place.
RAMP = ((0, 34, 78), (65, 77, 107), (124, 123, 120), (188, 175, 111), (254, 232, 56))
NO_PLACE = (134, 141, 151)
#: One of both has a contrast of at least 4.58 with any colour: √21.
WHITE, BLACK = "#ffffff", "#000000"


def parameter_spread(
    windows: Sequence[Mapping[str, Any]],
    stored: Mapping[str, Any],
    searched: Mapping[str, tuple[float, float]],
    choices: Mapping[str, Mapping[str, Any]] | None = None,
) -> Figure:
    """Return every parameter's value in every window and as it is stored.

    Parameters
    ----------
    windows : sequence of mapping
        As in `pipeline.results.artifacts.artifact_set.ArtifactSet`.
    stored : mapping
        Parameters of the configuration; None is "off".
    searched : mapping of str to (float, float)
        Smallest and largest value that the search could choose. The colour is the place between
        them; what could not be chosen, or is off, is grey. A value at either end is marked, where
        they differ.
    choices : mapping, optional
        The statistic ``parameter_choices``: a stored value that no window chose is marked.
    """
    names = list(stored)
    sets = [window["parameters"] for window in windows] + [stored]
    columns = [str(number) for number in range(1, len(windows) + 1)] + ["stored"]
    values = [[None if c is None else c[name] for c in sets] for name in names]
    places = [
        [_place(value, searched.get(name)) for value in row]
        for name, row in zip(names, values, strict=True)
    ]
    text = [
        ["–" if c is None else _marked(c[name], place) for c, place in zip(sets, row, strict=True)]
        for name, row in zip(names, places, strict=True)
    ]
    for name, row in zip(names, text, strict=True):
        if _is_unchosen((choices or {}).get(name)):
            row[-1] += f" {UNCHOSEN}"
    # A heatmap has one ink: cells that are read in white, in black, and those without a place.
    layers = (
        (WHITE, RAMP, lambda p: p if p is not None and ink(colour(p)) == WHITE else None),
        (BLACK, RAMP, lambda p: p if p is not None and ink(colour(p)) == BLACK else None),
        (ink(NO_PLACE), (NO_PLACE, NO_PLACE), lambda p: 0.0 if p is None else None),
    )
    cells = {"x": columns, "y": names}
    data = [cells | _layer(text, places, *layer) for layer in layers]
    return figure(
        data,
        yaxis={
            "autorange": "reversed",
            "type": "category",
            "title": {"text": "parameter", "standoff": 12},
        },
        xaxis={"type": "category", "side": "top", "title": {"text": "window"}},
    )


def _layer(
    text: Sequence[Sequence[str]],
    places: Sequence[Sequence[float | None]],
    own: str,
    ramp: Sequence[tuple[int, int, int]],
    keep: Callable[[float | None], float | None],
) -> dict[str, Any]:
    """Draw the cells of one ink: those to whose place ``keep`` gives a height on the ramp."""
    # An empty cell would show its text too.
    said = [
        [words if keep(place) is not None else "" for words, place in zip(*pair, strict=True)]
        for pair in zip(text, places, strict=True)
    ]
    return {
        "type": "heatmap",
        "z": [[keep(place) for place in row] for row in places],
        # Plotly shrinks all until the longest fits: of many windows it has marks alone.
        "text": [[" ".join(words.split()[len(row) > _WRITTEN :]) for words in row] for row in said],
        "texttemplate": "%{text}",
        "customdata": said,
        "textfont": {"color": own},
        "hovertemplate": "%{y}, %{x}: %{customdata}<extra></extra>",
        "hoverongaps": False,
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[i / (len(ramp) - 1), f"rgb{rgb}"] for i, rgb in enumerate(ramp)],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }


def _place(value: float | None, searched: tuple[float, float] | None) -> float | None:
    if value is None or searched is None or searched[0] == searched[1]:
        return None
    return (value - searched[0]) / (searched[1] - searched[0])


def _marked(value: float | None, place: float | None) -> str:
    """Write a value, and at which end of what was searched it lies."""
    edge = {0.0: "low", 1.0: "high"}.get(place) if place is not None else None
    return setting(value) + (f" {EDGES[edge]}" if edge else "")


def colour(place: float) -> tuple[int, int, int]:
    """Return the colour of a place from 0 to 1 on `RAMP`, as plotly mixes it."""
    return mixed(RAMP, place)


def ink(ground: tuple[int, int, int]) -> str:
    """Return which of black and white stands out more (WCAG 2.2, relative luminance)."""
    return WHITE if (1.05 / (luminance(ground) + 0.05)) ** 2 > 21.0 else BLACK


def luminance(colour: tuple[int, int, int]) -> float:
    """Compute the relative luminance of a colour of sRGB, from 0 to 1 (WCAG 2.2)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _is_unchosen(choice: Mapping[str, Any] | None) -> bool:
    return choice is not None and choice["chosen_in"] == 0 and choice["windows"] > 0


def evidence_sentences(
    configuration: Configuration, windows: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Say in how many windows the stored values were tested, all together and one by one."""
    stored = configuration.parameters
    if windows:
        same = sum(window["parameters"] == stored for window in windows)
        yield (
            f"The stored combination was tested in {same} of"
            f" {plural(len(windows), 'window')}: the figures out of sample are of what each"
            " window chose."
        )
    choices = configuration.statistics.get("parameter_choices") or {}
    never = [name for name in stored if _is_unchosen(choices.get(name))]
    if never:
        values = ", ".join(f"{name} {setting(stored[name])}" for name in never)
        counted = plural(max(choices[name]["windows"] for name in never), "window")
        yield f"These values were tested in 0 of {counted}: {values}."
    edges = [f"{n} {setting(stored[n])} ({c['edge']})" for n, c in choices.items() if c["edge"]]
    if edges:
        yield f"At an end of what was searched: {', '.join(edges)}. Better values may lie beyond."
