"""Let processes give up on each other within seconds."""

from pipeline.executors import signs_of_life

_SITE = """
from pipeline.executors import signs_of_life
signs_of_life.BEAT_EVERY, signs_of_life.SILENCE = {beat}, {silence}
"""


def hurry(folder, monkeypatch, *, beat=0.3, silence=2.0):
    """Shorten beats and patience, in seconds, here and in every Python process started later."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE.format(beat=beat, silence=silence), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setattr(signs_of_life, "BEAT_EVERY", beat)
    monkeypatch.setattr(signs_of_life, "SILENCE", silence)
