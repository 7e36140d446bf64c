"""A strategy in a file of its own, as a user writes one: Donchian by another name."""

from pathlib import Path

from pipeline.strategies import donchian_breakout


def own_file(folder, name="mine", stored="MINE_V1"):
    """Write it to ``folder``/``name``.py and return its path."""
    text = Path(donchian_breakout.__file__).read_text("utf-8")
    path = folder / f"{name}.py"
    path.write_text(text.replace('"DONCHIAN_BREAKOUT"', f'"{stored}"'), "utf-8")
    return path
