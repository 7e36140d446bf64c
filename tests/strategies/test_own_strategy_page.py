"""The tables of `docs/your-own-strategy.md` say what the candles and indicators are."""

import inspect
import re

import numpy as np
import pytest

from gpu_engine import Candles
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.strategies import indicators
from support.source_tree import ROOT

PAGE = (ROOT / "docs/your-own-strategy.md").read_text("utf-8")
LENGTH = 50
#: They take bars or marks of their own for each query: not for a first strategy.
UNLISTED = {"count_near", "first_after", "sums_before"}


def rows(heading):
    """The cells of the page's table with that first column."""
    (table,) = re.findall(rf"\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE)
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]


FIELDS = {row[0].strip("`").removeprefix("candles."): row[1] for row in rows("field")}
CALLS = {row[0].strip("`").partition("(")[0]: row for row in rows("call")}


@pytest.fixture(scope="module")
def candles():
    return make_regular(synthetic_candles(30, "1h", 0), "1h", "generated")[0]


def test_every_field_of_candles_has_its_type(candles):
    assert list(FIELDS) == [*Candles.COLUMNS, "step_ms"]
    for name in Candles.COLUMNS:
        column = getattr(candles, name)
        assert (str(column.dtype), column.shape) == (FIELDS[name], (len(candles),))
    assert type(candles.step_ms).__name__ == FIELDS["step_ms"]


def test_every_indicator_is_listed():
    public = {
        name
        for name, function in inspect.getmembers(indicators, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == indicators.__name__
    }
    assert public - UNLISTED == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_an_indicator_is_called_and_answers_as_the_page_says(candles, name):
    function, (call, advice, returns, blank) = getattr(indicators, name), CALLS[name]
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.default is p.empty]  # the page leaves the others out
    assert call == f"`{name}({', '.join(names)})`"
    first = {
        "candles": candles,
        "marks": candles.close > candles.open,
        **dict.fromkeys(("close", "values"), candles.close),
        "low": candles.low,
    }[names[0]]
    rest = [LENGTH] * (len(names) - 1)

    def compute(values):
        result = function(values, *rest)
        return result if isinstance(result, tuple) else (result,)

    results = compute(first)
    word = returns.removeprefix("two of ").partition(",")[0]
    assert len(results) == (2 if returns.startswith("two of") else 1)
    bars = {"`length` bars": LENGTH}.get(blank) or int(blank.removesuffix(" bars") or 0)
    for result in results:
        assert (str(result.dtype), result.shape) == (word, (len(candles),))
        assert np.flatnonzero(~np.isnan(result)).tolist() == list(range(bars, len(candles)))
    end = 400
    cut = compute(candles.cut(0, end) if names[0] == "candles" else first[:end])
    ahead = not all(
        np.array_equal(a[:end], b, equal_nan=True) for a, b in zip(results, cut, strict=True)
    )
    assert ahead == ("later" in advice or "looks ahead" in advice)


def test_the_moving_average_of_the_page_knows_nothing_later(candles):
    (block,) = re.findall(r"```\n(ends = .*?)```", PAGE, re.DOTALL)
    values = {"np": np, "candles": candles}
    exec(block, values)
    mean = values["mean"]
    assert np.isnan(mean[:49]).all()
    for t in (49, 50, 300, len(candles) - 1):
        assert mean[t] == pytest.approx(candles.close[t - 49 : t + 1].mean(), rel=1e-12)
