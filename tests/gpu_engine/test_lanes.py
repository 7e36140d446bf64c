"""Eight float64 side by side in compiled code: every operator, bit by bit, as NumPy has it."""

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from gpu_engine.numba_lanes import (  # noqa: E402
    LANES,
    any_of,
    eight,
    full_like,
    lane,
    load,
    lowest_bit,
    where,
)

SPECIAL = [0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, np.nan, 1e-310]


def mixed(like, left, right, at, out, flags):
    """Everything the walk does with lanes, on as many values as ``like`` holds."""
    a, b = load(like, left, at), load(like, right, at)
    values = (
        a + b,
        a - b,
        a * b,
        a / b,
        2.0 - a,
        where(a < b, a, b),
        where((a <= b) & (b > 0.5), full_like(like, 7.0), b),
        where((a >= b) | (a == b), 1.0, a),
    )
    for k in range(len(values)):
        for x in range(LANES if out.shape[1] == LANES else 1):
            out[k, at + x if out.shape[1] > LANES else x] = lane(values[k], x)
    flags[0] = any_of(a > b)
    flags[1] = any_of(a > np.inf)


@pytest.fixture(scope="module")
def compiled():
    return numba.njit(error_model="numpy")(mixed)


@pytest.fixture(scope="module")
def on_lanes(compiled):
    @numba.njit
    def run(left, right, out, flags):
        compiled(eight(), left, right, 0, out, flags)

    return run


def expected(a, b):
    with np.errstate(all="ignore"):
        return np.array(
            [
                a + b,
                a - b,
                a * b,
                a / b,
                2.0 - a,
                np.where(a < b, a, b),
                np.where((a <= b) & (b > 0.5), 7.0, b),
                np.where((a >= b) | (a == b), 1.0, a),
            ]
        )


@pytest.mark.parametrize("turn", range(LANES))
def test_lanes_are_the_same_bits_as_numpy(on_lanes, turn):
    a, b = np.array(SPECIAL), np.roll(SPECIAL, turn)
    out, flags = np.empty((8, LANES)), np.zeros(2, np.bool_)
    on_lanes(a, b, out, flags)
    np.testing.assert_array_equal(out, expected(a, b))
    assert np.array_equal(np.signbit(out), np.signbit(expected(a, b))) or np.isnan(out).any()
    assert flags.tolist() == [bool((a > b).any()), False]


def test_random_values_do_too(on_lanes):
    rng = np.random.default_rng(3)
    for _ in range(200):
        a, b = np.exp(rng.normal(0, 40, (2, LANES))) * rng.choice([-1, 1], (2, LANES))
        out, flags = np.empty((8, LANES)), np.zeros(2, np.bool_)
        on_lanes(a, b, out, flags)
        assert out.tobytes() == expected(a, b).tobytes()


def test_one_value_is_the_same_text(compiled):
    a, b = np.array(SPECIAL), np.roll(SPECIAL, 3)
    out, flags = np.empty((8, 1)), np.zeros(2, np.bool_)
    for x in range(LANES):
        compiled(0.0, a[x:], b[x:], 0, out, flags)
        np.testing.assert_array_equal(out[:, 0], expected(a, b)[:, x])
        assert flags[0] == (a[x] > b[x])


@pytest.mark.parametrize("bit", [0, 1, 31, 32, 63])
def test_lowest_bit(bit):
    first = numba.njit(lambda word: lowest_bit(word))
    assert first(np.uint64((1 << bit) | (1 << 63))) == bit
