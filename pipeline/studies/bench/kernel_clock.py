"""Note how long each kernel runs on a device, by the device's own clock."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from gpu_engine.device import Device, Options


class Event(Protocol):
    """A moment in the order of a device's work, as ``cupy.cuda.Event``."""

    def record(self) -> None:
        """Ask the device to note the time when it comes here."""
        ...


class KernelTime(NamedTuple):
    """Launches of one kernel, and their milliseconds together."""

    launches: int
    milliseconds: float


class KernelClock:
    """A `Device` that has two events recorded around every launch of another one.

    ``elapsed`` gives the milliseconds between two events that the device has passed.
    """

    def __init__(
        self, device: Device, event: Callable[[], Event], elapsed: Callable[[Any, Any], float]
    ) -> None:
        self._device, self._event, self._elapsed = device, event, elapsed
        self._spans: list[tuple[str, Event, Event]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def launch(
        self, kernel: str, options: Options, threads: tuple[int, int], arguments: tuple[Any, ...]
    ) -> None:
        """Run a kernel between two events."""
        before, after = self._event(), self._event()
        before.record()
        self._device.launch(kernel, options, threads, arguments)
        after.record()
        self._spans.append((kernel, before, after))

    def times(self) -> dict[str, KernelTime]:
        """Return the times of all kernels since the last call."""
        self._device.synchronize()
        milliseconds: dict[str, list[float]] = defaultdict(list)
        for kernel, before, after in self._spans:
            milliseconds[kernel].append(self._elapsed(before, after))
        self._spans.clear()
        return {kernel: KernelTime(len(all_), sum(all_)) for kernel, all_ in milliseconds.items()}


def cupy_clock(device: Device) -> KernelClock:
    """Put a clock of CUDA events on a `CupyDevice`."""
    import cupy

    return KernelClock(device, cupy.cuda.Event, cupy.cuda.get_elapsed_time)
