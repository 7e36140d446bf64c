"""Limits of a device: work is split, tried again or refused, and threads wait for each other."""

import numpy as np
import pytest

from gpu_engine import Axis, Grid, ScoreRule, Window, engine
from gpu_engine.cuda_backend import CudaBackend
from gpu_engine.cuda_market import in_parts
from gpu_engine.device import Options, OutOfDeviceMemoryError
from support.host_device import HostDevice, needs_compiler
from support.random_market import only, random_market


def two_thresholds(*more):
    """A grid over a random market's thresholds, its tables and exits at their first."""
    low = Axis("threshold", np.array([0.0, 1.0, 2.0]), 0)
    high = Axis("threshold", np.array([1.0, 2.0, 3.0]), 1)
    return Grid((low, high, *more))


def summarise(market, grid):
    rule, window = ScoreRule("net_profit", 0), Window(0, 100)
    return market.backend.summarise_grid(
        market.loaded, grid, grid.whole, window, rule, 3, lambda n: None
    )


@pytest.mark.parametrize(("room", "ranges"), [(7, [7, 7, 6]), (10, [10, 10]), (99, [20])])
def test_a_range_is_no_longer_than_the_room(room, ranges):
    seen = []
    in_parts(HostDevice(), 20, 1, lambda first, after: seen.append(after - first), most=room)
    assert seen == ranges


def test_the_range_that_failed_is_halved():
    """Not the size of those before it: the last range is often shorter."""
    seen = []

    def part(first, after):
        seen.append((first, after))
        if after - first >= 50 and first >= 100:
            raise OutOfDeviceMemoryError("full")

    in_parts(HostDevice(), 150, 1, part, most=100)
    assert seen == [(0, 100), (100, 150), (100, 125), (125, 150)]


@needs_compiler
def test_out_of_memory_is_halved_once_then_said():
    class Tight(HostDevice):
        """Says it has plenty, and has not."""

        room = 1 << 40

        def _check(self, size):
            if size > self.room:
                raise OutOfDeviceMemoryError(f"no room for {size:,} bytes")

    device = Tight()
    drawn = random_market(np.random.default_rng(3), 300, n_units=64)
    market = drawn.load(CudaBackend([device]))
    window = (Window(0, 300),)
    expected = engine.evaluate(market, drawn.batch, window)
    needed = len(drawn.batch) * 11 * 8
    device.room = needed // 2
    assert engine.evaluate(market, drawn.batch, window).tobytes() == expected.tobytes()
    device.room = needed // 4
    with pytest.raises(OutOfDeviceMemoryError, match=r"64 results .* tried 64 and 32 at a time"):
        engine.evaluate(market, drawn.batch, window)


@needs_compiler
def test_more_windows_than_a_launch_takes_are_several_launches():
    drawn = random_market(np.random.default_rng(4), 100)
    rng = np.random.default_rng(0)
    windows = [Window(s, e + 1) for s, e in np.sort(rng.integers(0, 100, (65_540, 2))).tolist()]
    single = only(drawn.batch, 0)
    actual, expected = (
        engine.evaluate(drawn.load(backend), single, windows)
        for backend in ("cuda on host", "numba")
    )
    np.testing.assert_array_equal(actual["sample_size"], expected["sample_size"])
    np.testing.assert_allclose(actual["net_profit"], expected["net_profit"], atol=1e-12)
    assert actual["sample_size"][65_535:].any()


@needs_compiler
def test_a_launch_is_refused_where_cuda_would():
    with pytest.raises(ValueError, match="CUDA launches no 1 x 65,536 blocks"):
        HostDevice().launch("score", Options(2, 0), (1, 65_536), ())


@needs_compiler
def test_a_grid_of_more_axes_than_the_kernel_decodes_is_refused():
    market = random_market(np.random.default_rng(5), 100).load("cuda on host")
    single = Axis("exit", np.array([1.0]))
    assert summarise(market, two_thresholds(*[single] * 14)).admissible == 9
    with pytest.raises(ValueError, match="at most 16 axes; it has 17"):
        summarise(market, two_thresholds(*[single] * 15))


@needs_compiler
def test_a_grid_of_more_units_than_the_kernel_counts_is_refused():
    market = random_market(np.random.default_rng(5), 100).load("cuda on host")
    many = Axis("structural", np.arange(1.0 * 3**7))
    with pytest.raises(ValueError, match="at most 4,294,967,295 units; this one has 94,143,178,8"):
        summarise(market, two_thresholds(many, many, many))


@needs_compiler
def test_what_another_thread_reads_is_waited_for():
    """Threads may have a stream each, and streams do not wait for one another."""

    class Asynchronous(HostDevice):
        pending = False

        def put(self, array):
            self.pending = True
            return super().put(array)

        def launch(self, *arguments):
            self.pending = True
            super().launch(*arguments)

        def synchronize(self):
            self.pending = False

    devices = [Asynchronous() for _ in range(2)]
    market = random_market(np.random.default_rng(6), 100).load(CudaBackend(devices))
    assert not any(device.pending for device in devices)
    summarise(market, two_thresholds())
    assert not any(device.pending for device in devices)
