"""Run the CUDA kernels on the CPU: from CUDA to PTX, from there to C++, and by g++ to a library.

Slow and meant to be. It lets every check of the CUDA backend but speed run where there is no GPU,
down to the arithmetic of a device, the layout of the arguments and the alignment of every access.
Its threads run in order, shuffled, or several at once: a race shows as another result. The PTX is
that of nvcc, or of NVRTC, which compiles the kernels on a GPU host.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np

from gpu_engine.device import (
    KERNELS,
    MAX_BLOCKS_X,
    MAX_BLOCKS_Y,
    OPTIONS,
    OutOfDeviceMemoryError,
    block_size,
    definitions,
    source_of,
)
from support import needs, nvrtc, ptx

#: Translations and libraries, by a hash of all that they are made of; test processes share them.
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kernels"
ARCHITECTURE = "sm_90"
#: What CuPy adds to the options of NVRTC.
OF_CUPY = ("-ftz=true", "--device-as-default-execution-space")
#: -ffp-contract=off is the host's --fmad=false; -fwrapv lets integers wrap, as a device does.
FLAGS = ("-O1", "-std=c++17", "-fwrapv", "-ffp-contract=off", "-pthread", "-shared", "-fPIC")
#: Set by the memory check alone: g++'s own, as in -fsanitize=address.
SANITIZE = "KERNELS_SANITIZE"
COMPILER = next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
#: Compilers of CUDA that are here; the first is the one of most tests.
TO_PTX = [
    *(["nvcc"] if shutil.which("nvcc") else []),
    *(["nvrtc"] if nvrtc.library() else []),
]
needs_compiler = needs.program(
    COMPILER if TO_PTX else None,
    "the kernels need g++, and nvcc or NVRTC: install the CUDA toolkit or nvidia-cuda-nvrtc",
)
#: How threads follow each other, as machine.h numbers it.
ORDERS = ("in order", "shuffled", "concurrent")


class Launch(ctypes.Structure):
    """Blocks, their threads, and the position of an order in `ORDERS`, as machine.h has it."""

    _fields_ = [
        ("blocks_x", ctypes.c_int64),
        ("blocks_y", ctypes.c_int64),
        ("block_size", ctypes.c_int64),
        ("order", ctypes.c_int32),
        ("seed", ctypes.c_int32),
    ]


class HostDevice:
    """A device made of the CPU (see `gpu_engine.device.Device`).

    It has ``memory`` bytes, so that a larger array is refused, and ``multiprocessors`` that a
    launch should fill (see `block_size`). Threads run in one of `ORDERS`; ``to_ptx`` is one of
    `TO_PTX`.
    """

    description = "CPU, PTX of the kernels"

    def __init__(self, memory=1 << 40, multiprocessors=1, order="shuffled", to_ptx=None):
        self._order = ORDERS.index(order)
        self._to_ptx = to_ptx
        self._seeds = count(1)
        self._multiprocessors = multiprocessors
        self._memory = memory

    def synchronize(self):
        """Do nothing: every launch has ended when it returns."""

    def put(self, array):
        """Copy an array, as a device would."""
        self._check(array.nbytes)
        return np.array(array, order="C", copy=True)

    def empty(self, shape, dtype):
        """Return memory full of rubbish, to catch who relies on zeros."""
        result = self.zeros(shape, dtype)
        result.view(np.uint8)[...] = 0xA5
        return result

    def zeros(self, shape, dtype):
        """Return memory set to zero."""
        self._check(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.zeros(shape, dtype)

    def get(self, array, count=None):
        """Copy an array back, or the first ``count`` of a flat one."""
        return array[:count].copy()

    def address(self, array):
        """Return where an array begins."""
        return array.ctypes.data

    def free_bytes(self):
        """Return the pretended memory."""
        return self._memory

    def launch(self, kernel, options, threads, arguments):
        """Run a kernel over as many whole blocks as cover ``threads``; no more than CUDA would."""
        size = block_size(threads, self._multiprocessors)
        blocks = -(-threads[0] // size)
        if not (0 < blocks <= MAX_BLOCKS_X and 0 < threads[1] <= MAX_BLOCKS_Y):
            raise ValueError(f"CUDA launches no {blocks:,} x {threads[1]:,} blocks")
        at = Launch(blocks, threads[1], size, self._order, next(self._seeds))
        run(library(source_of(kernel), options, self._to_ptx), kernel, at, arguments)

    def _check(self, size):
        if size > self._memory:
            raise OutOfDeviceMemoryError(
                f"the device has no room for {size:,} bytes; {self._memory:,} are free"
            )


@cache
def library(source, options, to_ptx=None):
    """Compile one of `SOURCES` for the CPU, once for each text of the kernels, and load it."""
    path = KERNELS / f"{source}.cu"
    return compiled(assembly(path, definitions(source, options), to_ptx), source)


def compiled(text, name):
    """Compile PTX for the CPU and load it."""
    text = ptx.translate(ptx.parse(text))
    sanitize = os.environ.get(SANITIZE)
    flags = [*FLAGS, *([f"-fsanitize={sanitize}", "-g"] if sanitize else [])]
    parts = [text, ptx.HEADER.read_text("utf-8"), *flags]

    def make(draft):
        machine = f"-I{_machine(flags)}"
        _compile([COMPILER, *flags, machine, "-x", "c++", "-", "-o", draft], input=text)

    return ctypes.CDLL(str(_cached(f"{name}.so", parts, make)))


def _machine(flags):
    """Return a folder with machine.h as g++ has read it: most of a compilation is reading it."""

    def make(draft):
        draft.mkdir(exist_ok=True)
        header = Path(shutil.copy(ptx.HEADER, draft))
        if COMPILER == "g++":
            _compile([COMPILER, *flags, "-x", "c++-header", header, "-o", f"{header}.gch"])

    return _cached("machine", [ptx.HEADER.read_text("utf-8"), COMPILER, *flags], make)


def assembly(path, options=(), to_ptx=None):
    """Return the PTX of a CUDA source, by a compiler of `TO_PTX`."""
    to_ptx = to_ptx or TO_PTX[0]
    every = [f"-arch={ARCHITECTURE}", f"-I{path.parent}", *OPTIONS, *options]

    def make(draft):
        if to_ptx == "nvcc":
            _compile(["nvcc", "-ptx", *every, path, "-o", draft])
            return
        text, log = nvrtc.assembly(path, [*every, *OF_CUPY])
        assert not log, f"NVRTC says of {path.name}: {log}"
        draft.write_text(text)

    parts = [path.read_text("utf-8"), *every, to_ptx]
    return _cached(f"{path.stem}.ptx", parts, make).read_text("utf-8")


def _cached(name, parts, make):
    """Return the file ``name`` made of ``parts``; of several test processes one makes it."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    path = CACHE / f"{digest[:16]}-{name}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:  # its own: others compile meanwhile
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            draft = path.with_suffix(".draft")
            make(draft)
            draft.replace(path)
    return path


def _compile(command, **options):
    # A memory checker that is loaded before this process is not for the compilers.
    own = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=own, **options)
    assert run.returncode == 0, f"{command[0]} refused a kernel:\n{run.stderr}"


def run(compiled, kernel, launch, arguments):
    """Run a kernel of a library; a fault of its threads is a RuntimeError."""
    function = getattr(compiled, f"launch_{kernel}")
    function.restype = ctypes.c_char_p
    passed = _laid_out(compiled, kernel, [_by_value(argument) for argument in arguments])
    problem = function(ctypes.byref(launch), passed).decode()
    if problem:
        raise RuntimeError(f"{kernel}: {problem}")


def _laid_out(compiled, kernel, values):
    """Lay arguments out as the kernel's PTX declares its parameters; sizes must be equal."""
    symbol = f"layout_{kernel}"
    n_parameters = (ctypes.c_int * 1).in_dll(compiled, symbol)[0]
    layout = np.array((ctypes.c_int * (2 * n_parameters + 2)).in_dll(compiled, symbol))
    offsets, sizes = layout[2::2], layout[3::2]
    passed = [value.nbytes for value in values]
    assert sizes.tolist() == passed, f"{kernel} takes arguments of {sizes} bytes, not {passed}"
    laid = (ctypes.c_uint64 * -(-int(offsets[-1] + sizes[-1]) // 8))()
    for offset, value in zip(offsets.tolist(), values, strict=True):
        ctypes.memmove(ctypes.addressof(laid) + offset, value.ctypes.data, value.nbytes)
    return laid


def _by_value(argument):
    """Return what the kernel is passed: a value, or an array's address."""
    if isinstance(argument, np.ndarray) and argument.ndim:
        return np.array(argument.ctypes.data, np.uint64)
    return np.asarray(argument)
