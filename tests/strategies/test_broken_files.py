"""A broken file of one's own is one sentence, stores no result, and touches no other strategy."""

import pytest

from pipeline.config import TrainConfig, load
from pipeline.strategies import registry
from pipeline.strategies.registry import BUILT_IN, choices
from pipeline.training import provenance
from support.own_strategy import own_file
from support.runs import QUICK, run, run_here


def changed(old, new):
    """Break one place of a strategy that is in order."""

    def write(path):
        own_file(path.parent, path.stem)
        text = path.read_text("utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), "utf-8")

    return write


def attribute(name):
    """Make one attribute of the strategy raise when it is asked for."""
    code = f"class Raising(DonchianBreakout):\n    {name} = property(lambda self: 1 / 0)\n\n\n"
    return changed("STRATEGY = DonchianBreakout()", f"{code}STRATEGY = Raising()")


def text(content):
    """Write a file of another content."""
    return lambda path: path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def returned(code):
    """Put code after the table is made, with it at hand as ``t``."""

    def write(path):
        own_file(path.parent, path.stem)
        source = path.read_text("utf-8").replace(
            "import numpy as np", f"import numpy as np\n{HEAD}"
        )
        after = f"""
class Changed(ChannelEvents):
    def table(self, structural):
        t = super().table(structural)
        {code}


STRATEGY = DonchianBreakout()
"""
        source = source.replace("return ChannelEvents(", "return Changed(")
        path.write_text(source.replace("STRATEGY = DonchianBreakout()\n", after), "utf-8")

    return write


HEAD = "from dataclasses import replace"
STOP = '            name="stop_distance",\n            kind="exit",\n'
SECOND_STOP = f'{STOP}            unit="ATR", grid=(1, 2)), Parameter(\n{STOP}'

#: What is broken, how, and the words that its sentence must hold.
BROKEN = {
    "syntax error": (changed("class ChannelEvents:", "class ChannelEvents"), "line 77"),
    "raises at import": (changed("STRATEGY =", "1 / 0\nSTRATEGY ="), "ZeroDivisionError"),
    "ends the program": (text("import sys\nsys.exit(0)\n"), "line 2: SystemExit"),
    "unknown import": (
        text("import numpy\nimport nothing_such\n"),
        "line 2: the module nothing_such",
    ),
    "unknown name": (text("from gpu_engine import Candle\n"), "line 1: ImportError"),
    "no STRATEGY": (changed("STRATEGY = DonchianBreakout()", ""), "no STRATEGY"),
    "a class": (changed("STRATEGY = DonchianBreakout()", "STRATEGY = DonchianBreakout"), "a class"),
    "empty": (text(""), "no STRATEGY"),
    "not UTF-8": (text(b'"""caf\xe9"""\n'), "UTF-8"),
    "NUL bytes": (text(b"STRATEGY = 1\x00\n"), "no Python"),
    "no table": (changed("    def table(self", "    def tabel(self"), "which has none"),
    "no events": (changed("    def events(self", "    def event(self"), "events(candles, loosest)"),
    "bad stored name": (changed('name = "MINE_V1"', 'name = "mine v1"'), "'mine v1'"),
    "a built-in's name": (
        changed('name = "MINE_V1"', 'name = "SUPPLY_SHOCK_V3"'),
        "the built-in strategy supply_shock",
    ),
    "mirrored raises": (attribute("mirrored"), "ZeroDivisionError"),
    "name raises": (attribute("name"), "ZeroDivisionError"),
    "parameters raise": (attribute("parameters"), "ZeroDivisionError"),
    "example raises": (attribute("example"), "ZeroDivisionError"),
    "STRATEGY raises": (text("def __getattr__(name):\n    return {}[name]\n"), "KeyError"),
    "a parameter of its own class": (
        changed(
            "class DonchianBreakout:",
            "class Parameter(Parameter):\n    pass\n\n\nclass DonchianBreakout:",
        ),
        "parameters[0]",
    ),
    "unknown role": (
        changed(STOP, f'{STOP}            role="stop_loss",\n'),
        "one of stop_distance",
    ),
    "unknown kind": (changed('kind="threshold"', 'kind="filter"'), "'filter'"),
    "two stops": (
        changed(STOP, SECOND_STOP.replace("_distance", "_fraction", 1)),
        "stop_fraction, stop_distance",
    ),
    "threshold without sense": (changed("            sense=+1,\n", ""), "'volume_factor'"),
    "descending grid": (
        changed("grid=(20, 50, 100, 200, 400)", "grid=(400, 200, 100)"),
        "(400, 200, 100)",
    ),
    "word in a grid": (changed("grid=(1, 2, 3, 4)", "grid=(1, 'two')"), "'two'"),
    "unknown keyword": (
        changed(
            "            integer=True,\n            grid=(20,",
            "            whole=True,\n            grid=(20,",
        ),
        "'whole'",
    ),
    "wrong dtype": (
        changed(
            "signal_bar=signal.astype(np.int32),\n            side",
            "signal_bar=signal,\n            side",
        ),
        "not int64",
    ),
    "wrong shape": (
        changed("self._volume[signal, np.newaxis]", "self._volume[signal]"),
        "features",
    ),
    "a list": (
        changed("self._volume[signal, np.newaxis]", "self._volume[signal].tolist()"),
        "list",
    ),
    "masked features": (
        returned("return replace(t, features=np.ma.masked_array(t.features, mask=True))"),
        "MaskedArray",
    ),
    "a matrix": (returned("return replace(t, features=np.asmatrix(t.features))"), "matrix"),
    "masked bars": (
        returned("return replace(t, signal_bar=np.ma.masked_less(t.signal_bar, 500))"),
        "MaskedArray",
    ),
    "a changed indicator": (
        returned("import pipeline.strategies.indicators as i; i.VOLUME_PERIOD = 50; return t"),
        "indicators.VOLUME_PERIOD",
    ),
    "NaN in ATR": (returned("return replace(t, atr=t.atr * np.nan)"), "atr above 0"),
    "rows out of order": (returned("return t.at(np.arange(len(t))[::-1])"), "rows 0 and 1"),
    "rows twice": (returned("return t.at(np.repeat(np.arange(len(t)), 2))"), "rows 0 and 1"),
    "signal after the end": (
        returned("return replace(t, signal_bar=t.signal_bar + np.int32(10**6))"),
        "number of candles",
    ),
    "side 0": (returned("return replace(t, side=t.side * np.int8(0))"), "row 0 has 0"),
    "exit before its signal": (
        returned("return replace(t, exit_signal_bar=t.signal_bar)"),
        "exit_signal_bar",
    ),
    "exit beyond the last candle": (
        returned("return replace(t, exit_signal_bar=t.signal_bar + np.int32(10**6))"),
        "holding_bars",
    ),
    "table raises": (returned("raise KeyError('atr')"), "KeyError"),
    "table returns None": (returned("return None"), "NoneType"),
    "table ends the program": (returned("raise SystemExit(0)"), "SystemExit"),
    "table asks for what is not there": (returned("return t.nothing"), "line 120: AttributeError"),
    "events returns None": (changed("return ChannelEvents(", "ChannelEvents("), "NoneType"),
    "unknown key of structural": (
        changed('structural["exit_channel"]', 'structural["exit"]'),
        "it holds entry_channel, exit_channel",
    ),
    "a threshold in table": (
        changed('structural["exit_channel"]', 'structural["volume_factor"]'),
        "it is a threshold",
    ),
    "an exit in table": (
        changed('structural["exit_channel"]', 'structural["stop_distance"]'),
        "it is an exit",
    ),
    "a structural in loosest": (
        changed("        self._atr =", '        loosest["exit_channel"]\n        self._atr ='),
        "it holds volume_factor",
    ),
    "events without loosest": (
        changed(
            "def events(self, candles: Candles, loosest: Mapping[str, float])",
            "def events(self, candles)",
        ),
        "candles and loosest",
    ),
    "table without structural": (
        changed("def table(self, structural: Mapping[str, float])", "def table(self)"),
        "(line 86) is handed structural",
    ),
    "writes into candles": (
        changed("        self._atr =", "        candles.close[0] = 1\n        self._atr ="),
        "copy()",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def others():
    """Other strategies are the same before the drill and after it."""
    before = [*map(hashed, BUILT_IN)]
    yield
    assert [*map(hashed, BUILT_IN)] == before
    assert choices() == list(BUILT_IN)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.PATH_VARIABLE, str(tmp_path))


def hashed(word):
    provenance.engine_hash_of.cache_clear()  # or it tells of the time before
    return provenance.engine_hash(load([f"strategy={word}", *QUICK], TrainConfig, "train").strategy)


def refused(folder, word):
    """Train with it; return the sentence."""
    finished = run_here(folder, f"strategy={word}", "optimizer=random", *QUICK)
    assert finished.status == 2, finished.err
    assert "Traceback" not in finished.err
    *notes, sentence = finished.err.strip().splitlines()
    assert all(note.startswith(("optimizer=random: ", "backend: ")) for note in notes), notes
    assert sentence.endswith((".", "?"))
    assert finished.artifacts == []
    if (folder / "var/trainings.db").exists():
        assert finished.configurations == []
        (job,) = finished.jobs  # a training that had begun says how it ended
        assert (job.status, job.error) == ("failed", sentence)
    return sentence


@pytest.mark.parametrize(("write", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_sentence(tmp_path, write, words):
    write(tmp_path / "mine.py")
    sentence = refused(tmp_path, tmp_path / "mine.py")
    assert "mine.py" in sentence
    assert words in sentence


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "mine.py").mkdir()
    assert "mine.py is a folder" in refused(tmp_path, "mine.py")


def test_a_missing_file_is_told(tmp_path):
    assert "mine.py is no file" in refused(tmp_path, "mine.py")


def test_a_name_with_spaces_is_told(tmp_path):
    own_file(tmp_path, "my own")
    assert "letters A to Z, digits" in refused(tmp_path, "my own.py")


def test_all_of_them_in_strategy_path_hinder_no_other(tmp_path):
    for number, (write, _) in enumerate(BROKEN.values()):
        write(tmp_path / f"broken_{number}.py")
    assert choices()[: len(BUILT_IN)] == list(BUILT_IN)
    names = dict(zip(BROKEN, (f"broken_{number}" for number in range(len(BROKEN))), strict=True))
    silent = ("ends the program", "unknown import", "unknown name", "no STRATEGY", "empty")
    listed = {names[key] for key in BROKEN if key not in (*silent, "STRATEGY raises")}
    assert set(choices()[len(BUILT_IN) :]) == listed
    finished = run_here(
        tmp_path, f"strategy_path={tmp_path}", "strategy=liquidity_sweep", "optimizer=random",
        "optimizer.samples=20", *QUICK,
    )  # fmt: skip
    assert finished.status == 0, finished.err
    assert len(finished.configurations) == 1


def test_a_process_says_the_same(tmp_path):
    """As a person sees it: nothing but the sentence."""
    text("import sys\nsys.exit(0)\n")(tmp_path / "mine.py")
    finished = run(tmp_path, "strategy=mine.py", "optimizer=random", *QUICK)
    assert finished.status == 2
    assert len(finished.err.strip().splitlines()) == 1
    assert "line 2" in finished.err
