from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine import METRICS
from pipeline.results.jsonable import dumps, jsonable


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), np.inf])
def test_what_is_not_finite_becomes_null(value: float) -> None:
    assert jsonable({"a": [value]}) == {"a": [None]}


def test_numpy_becomes_plain() -> None:
    given = {"i": np.int64(3), "b": np.bool_(True), "a": np.array([[1.5, np.nan]])}
    assert jsonable(given) == {"i": 3, "b": True, "a": [[1.5, None]]}
    assert type(jsonable(np.int64(3))) is int


def test_a_row_of_metrics_becomes_an_object() -> None:
    row = np.zeros(1, METRICS)
    row["profit_factor"] = np.nan
    row["sample_size"] = 7
    plain = jsonable(row[0])
    assert list(plain) == list(METRICS.names or ())
    assert plain["profit_factor"] is None
    assert plain["sample_size"] == 7


def test_dataclasses_and_times() -> None:
    @dataclass
    class Gate:
        value: float
        at: datetime

    plain = jsonable(Gate(math.nan, datetime(2023, 1, 1, tzinfo=UTC)))
    assert plain == {"value": None, "at": "2023-01-01T00:00:00+00:00"}


@pytest.mark.parametrize("value", [object(), {1, 2}, datetime(2023, 1, 1)])
def test_the_unknown_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no place in JSON"):
        jsonable(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_every_json_value_survives_strict_json(value: object) -> None:
    assert json.loads(dumps(value)) == jsonable(value)
