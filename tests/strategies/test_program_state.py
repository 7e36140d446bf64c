"""A file of one's own changes nothing that other strategies share."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter
from pipeline.strategies.own_code import module_of, unchanged_program

CHANGES = {
    "from pipeline.strategies import indicators\nindicators.VOLUME_PERIOD = 50": (
        "indicators.VOLUME_PERIOD"
    ),
    "from pipeline.strategies import indicators as i\ni.average_true_range = i.true_range": (
        "indicators.average_true_range"
    ),
    "from pipeline.strategies.base import Parameter\nParameter.off = 0.0": "base.Parameter.off",
    "import numpy as np\nnp.maximum = np.minimum": "numpy.maximum",
    "import builtins\nbuiltins.len = lambda x: 3": "builtins.len",
    "import numpy as np\nnp.seterr(all='raise')": "numpy.seterr",
    "import os\nos.chdir('/')": "the working folder",
}


def state():
    return (
        indicators.VOLUME_PERIOD,
        indicators.average_true_range,
        Parameter.off,
        np.maximum,
        len,
        np.geterr(),
        Path.cwd(),
    )


@pytest.mark.parametrize("text", CHANGES)
@pytest.mark.parametrize("then", ["", "\n1 / 0"])
def test_a_change_is_refused_and_put_back(text, then):
    before = state()
    with pytest.raises(UserError, match=r"mine\.py") as refused:
        module_of(f"{text}{then}\n", "mine.py")
    assert state() == before
    if not then:
        assert CHANGES[text] in str(refused.value)


def test_a_change_made_later_is_refused_too():
    module = module_of(
        "from pipeline.strategies import indicators\n"
        "def table():\n    indicators.VOLUME_PERIOD = 50\n",
        "mine.py",
    )
    before = indicators.VOLUME_PERIOD
    with pytest.raises(UserError, match=r"indicators\.VOLUME_PERIOD"), unchanged_program("mine.py"):
        module.table()
    assert before == indicators.VOLUME_PERIOD


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\nnp.zeros(10**14)",
        "class E(Exception):\n    def __str__(self):\n        raise KeyError('q')\nraise E",
        "raise BaseException('x')",
        "raise GeneratorExit",
    ],
)
def test_whatever_a_file_raises_is_one_sentence(text):
    with pytest.raises(UserError, match=r"mine\.py, line \d"):
        module_of(f"{text}\n", "mine.py")


def test_what_a_file_prints_goes_to_stderr(capsys):
    with unchanged_program("mine.py"):
        print("loud")
    module_of("print('loaded')\n", "mine.py")
    print("result")
    assert capsys.readouterr() == ("result\n", "loud\nloaded\n")


def test_a_reader_that_has_gone_is_no_fault_of_the_file():
    with pytest.raises(BrokenPipeError), unchanged_program("mine.py"):
        raise BrokenPipeError


def test_a_module_that_comes_later_is_watched_and_so_is_what_replaces_it(monkeypatch):
    name = "pipeline.strategies.late"
    for _ in range(2):
        late = ModuleType(name)
        late.PERIOD, late.Rule = 14, type("Rule", (), {"__module__": name, "off": 0.0})
        monkeypatch.setitem(sys.modules, name, late)
        with (
            pytest.raises(UserError, match=r"late\.PERIOD, .*late\.Rule\.off"),
            unchanged_program("mine.py"),
        ):
            late.PERIOD, late.Rule.off = 50, 1.0
        assert (late.PERIOD, late.Rule.off) == (14, 0.0)
