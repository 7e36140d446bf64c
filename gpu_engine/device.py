"""Run kernels on a device, and make all copies between host and device.

`CupyDevice` is a GPU. The tests have a device that runs the same kernels on the CPU.
"""

import hashlib
import importlib.util
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpu_engine.layouts import MAX_AXES

KERNELS = Path(__file__).parent / "kernels"
#: Options of every compiler of the kernels; comparisons at a threshold must not be contracted.
OPTIONS = ("--fmad=false", "-std=c++17")
SOURCES = ("outcomes", "walk", "units", "reduce")
#: Threads of a block, most first: the kernels' registers leave room for several blocks of 128.
BLOCK_SIZES = (128, 64, 32)
#: Threads that run together on every CUDA device; blocks are whole warps.
WARP = 32
#: Most blocks of a launch along x and y, on every CUDA device.
MAX_BLOCKS_X, MAX_BLOCKS_Y = (1 << 31) - 1, (1 << 16) - 1


class Options(NamedTuple):
    """What the text of a kernel leaves open: thresholds of a unit, and a bit mask of metrics."""

    n_thresholds: int
    fields: int


class OutOfDeviceMemoryError(MemoryError):
    """The device has no room for an array; the message gives its bytes and those free."""


class Device(Protocol):
    """Where kernels run. ``Array`` below is whatever `put` and `empty` return."""

    @property
    def description(self) -> str:
        """Name and memory, for logs and benchmarks."""
        ...

    def put(self, array: NDArray[Any]) -> Any:
        """Copy a host array to the device."""
        ...

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Return uninitialised device memory."""
        ...

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Return device memory set to zero."""
        ...

    def get(self, array: Any, count: int | None = None) -> NDArray[Any]:
        """Copy a device array to the host, or the first ``count`` of a flat one."""
        ...

    def address(self, array: Any) -> int:
        """Return where an array begins in device memory."""
        ...

    def free_bytes(self) -> int:
        """Return how much memory can still be taken."""
        ...

    def synchronize(self) -> None:
        """Wait until all that was asked of the device is done, so that any thread may read it."""
        ...

    def launch(
        self, kernel: str, options: Options, threads: tuple[int, int], arguments: tuple[Any, ...]
    ) -> None:
        """Run ``kernel`` on at least ``threads`` threads (x, y); blocks are `block_size` by 1.

        Arguments are device arrays, NumPy scalars, or 0-d structured arrays passed by value.
        """
        ...


class CupyDevice:
    """The GPU ``number`` through CuPy (see `Device`)."""

    def __init__(self, number: int) -> None:
        import cupy

        self._cupy = cupy
        self._device = cupy.cuda.Device(number)
        self._properties = cupy.cuda.runtime.getDeviceProperties(number)
        self._kernels = cache(self._compile)

    @property
    def description(self) -> str:
        """Name and memory."""
        gib = self._properties["totalGlobalMem"] / 2**30
        return f"{self._properties['name'].decode()}, {gib:.0f} GiB"

    def synchronize(self) -> None:
        """Wait until all launches and copies of every stream are done."""
        self._device.synchronize()

    def put(self, array: NDArray[Any]) -> Any:
        """Copy a host array to the device; a structured one as bytes."""
        with self._device:
            flat = np.ascontiguousarray(array)
            return self._allocated(lambda: self._cupy.asarray(_plain(flat)), flat.nbytes)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Return uninitialised device memory; of a structured dtype, as bytes."""
        return self._make(self._cupy.empty, shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """Return device memory set to zero."""
        return self._make(self._cupy.zeros, shape, dtype)

    def get(self, array: Any, count: int | None = None) -> NDArray[Any]:
        """Copy a device array to the host, or the first ``count`` of a flat one."""
        with self._device:
            part = array if count is None else array[:count]
            return self._cupy.asnumpy(part)  # type: ignore[no-any-return]

    def address(self, array: Any) -> int:
        """Return where an array begins."""
        return int(array.data.ptr)

    def free_bytes(self) -> int:
        """Free memory of the card and what CuPy's pool holds unused."""
        with self._device:
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())

    def launch(
        self, kernel: str, options: Options, threads: tuple[int, int], arguments: tuple[Any, ...]
    ) -> None:
        """Run a kernel; errors of an earlier one surface here or at the next copy."""
        with self._device:
            size = block_size(threads, self._properties["multiProcessorCount"])
            blocks = (-(-threads[0] // size), threads[1])
            self._kernels(kernel, options)(blocks, (size,), arguments)

    def _compile(self, kernel: str, options: Options) -> Any:
        source = source_of(kernel)
        text = (KERNELS / f"{source}.cu").read_text("utf-8")
        every = (*OPTIONS, f"-I{KERNELS}", *definitions(source, options))
        return self._module(text, every).get_function(kernel)

    def _module(self, text: str, options: tuple[str, ...]) -> Any:
        return self._cupy.RawModule(code=text, options=options)

    def _make(self, make: Any, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        kind = np.dtype(dtype)
        count = int(np.prod(shape))
        with self._device:
            if kind.fields is None:
                return self._allocated(lambda: make(shape, kind), count * kind.itemsize)
            size = count * kind.itemsize
            return self._allocated(lambda: make(size, np.uint8), size)

    def _allocated(self, make: Any, size: int) -> Any:
        try:
            return make()
        except self._cupy.cuda.memory.OutOfMemoryError:
            raise OutOfDeviceMemoryError(
                f"the device has no room for {size:,} bytes; {self.free_bytes():,} are free"
            ) from None


def block_size(threads: tuple[int, int], multiprocessors: int) -> int:
    """Choose the largest block that still gives every multiprocessor one; a warp when none does."""
    for size in BLOCK_SIZES:
        if -(-threads[0] // size) * threads[1] >= multiprocessors:
            return size
    return BLOCK_SIZES[-1]


@cache
def source_of(kernel: str) -> str:
    """Find which of `SOURCES` defines a kernel."""
    for source in SOURCES:
        text = (KERNELS / f"{source}.cu").read_text("utf-8")
        if f" {kernel}(" in text and "__global__" in text:
            return source
    raise KeyError(f"no kernel is called {kernel}")


def definitions(source: str, options: Options) -> tuple[str, ...]:
    """Return what a source's text leaves open, as options of every compiler, and its digest.

    Sources that do not walk are the same for all options. The digest is of all files: a cache of
    compiled kernels that goes by text and options, as CuPy's does, would not see an edit of a
    header.
    """
    digest = hashlib.sha256()
    for path in sorted(KERNELS.iterdir()):
        digest.update(path.read_bytes())
    walks = source in ("walk", "units")
    defined = {
        "N_THRESHOLDS": options.n_thresholds if walks else 0,
        "FIELDS": options.fields if walks else 0,
        "MAX_AXES": MAX_AXES,
        "DIGEST": digest.hexdigest(),
    }
    return tuple(f"-D{name}={value}" for name, value in defined.items())


def cuda_problem() -> str | None:
    """Say what keeps CUDA from running here, and what would mend it; None when a device works.

    A device that worked is not tried again. What failed is: a driver may come back.
    """
    try:
        _try_cuda()
    except _CudaProblemError as problem:
        return str(problem)
    return None


class _CudaProblemError(Exception):
    """What `cuda_problem` says."""


@cache  # of a success: `cache` keeps no exception
def _try_cuda() -> None:
    if importlib.util.find_spec("cupy") is None:
        raise _CudaProblemError(
            "CuPy is not installed: install the extra cuda12 or cuda13, whichever the driver serves"
        )
    try:
        import cupy
    except Exception as error:  # ImportError as a rule, CuPy's page of advice around its cause
        cause = in_one_line(error.__cause__ or error)
        raise _CudaProblemError(
            f"CuPy cannot be imported ({cause}): reinstall the CUDA extra"
        ) from None
    try:
        count = device_count()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise _CudaProblemError(
            f"no CUDA driver or device answers ({in_one_line(error)}): install the NVIDIA driver"
        ) from None
    if not count:
        raise _CudaProblemError("the CUDA driver finds no device")
    try:
        cupy.RawModule(code=_PROBE).get_function("probe")((1,), (1,), (cupy.zeros(1),))
        cupy.cuda.runtime.deviceSynchronize()
    except Exception as error:  # whatever breaks here would break every launch
        raise _CudaProblemError(
            f"the device does not run kernels ({in_one_line(error)}): check driver and CUDA extra"
        ) from None


def in_one_line(error: BaseException, most: int = 200) -> str:
    """Return what an error says in one line of at most ``most`` characters; its type if nothing."""
    return textwrap.shorten(str(error) or type(error).__name__, most, placeholder=" ...")


def current_device() -> int:
    """Return the number of the GPU that CUDA would take by itself."""
    import cupy

    return int(cupy.cuda.runtime.getDevice())


def device_count() -> int:
    """Return how many GPUs the driver serves; they are numbered from 0."""
    import cupy

    return int(cupy.cuda.runtime.getDeviceCount())


_PROBE = 'extern "C" __global__ void probe(double* cell) { cell[0] = 1.0; }'


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return a structured array as bytes: CuPy has no structured dtypes."""
    return array if array.dtype.fields is None else array.view(np.uint8)
