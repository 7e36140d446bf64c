"""As much of CuPy as `CupyDevice` asks for, over the kernels' PTX on the CPU.

It has a GPU's manners: memory belongs to a device, which must be the current one; freed memory is
rubbish; structured arrays are refused.
"""

import threading
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np

from gpu_engine.device import Options, OutOfDeviceMemoryError
from support.host_device import HostDevice

_current = threading.local()


class Device:
    def __init__(self, number):
        self.number, self.before = number, []

    def __enter__(self):
        self.before.append(current())
        _current.device = self.number

    def __exit__(self, *error):
        _current.device = self.before.pop()

    def synchronize(self):
        pass


def current():
    return getattr(_current, "device", 0)


class Array:
    def __init__(self, memory):
        assert memory.dtype.fields is None, "CuPy has no structured dtypes"
        self.memory, self.device = memory, current()
        self.data = SimpleNamespace(ptr=memory.ctypes.data)

    def __del__(self):
        self.memory.reshape(-1).view(np.uint8)[...] = 0xA5

    def __getitem__(self, part):
        return Array(self.here()[part].copy())

    def here(self):
        assert self.device == current(), "an array of another device"
        return self.memory


class RawModule:
    """Compiles the kernels whatever the text; remembers the options it was last given."""

    options = ()

    def __init__(self, code, options=()):
        RawModule.options = options
        defined = dict(option[2:].split("=") for option in options if option.startswith("-D"))
        self._options = Options(int(defined.get("N_THRESHOLDS", 0)), int(defined.get("FIELDS", 0)))

    def get_function(self, name):
        def run(blocks, block, arguments):
            threads = (blocks[0] * block[0], blocks[1])
            arrays = [a.here() if isinstance(a, Array) else a for a in arguments]
            HostDevice().launch(name, self._options, threads, tuple(arrays))

        return (lambda *launch: None) if name == "probe" else run


def fake_cupy(devices=2, memory=1 << 40):
    """A module to put at ``sys.modules["cupy"]``: so many devices of so many bytes."""
    device = HostDevice(memory)

    def made(make):
        def allocate(*arguments):
            try:
                return Array(make(*arguments))
            except OutOfDeviceMemoryError as error:
                raise module.cuda.memory.OutOfMemoryError from error

        return allocate

    properties = {
        "name": b"Fake",
        "totalGlobalMem": memory,
        "multiProcessorCount": 2,
    }
    runtime = SimpleNamespace(
        CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}),
        deviceSynchronize=lambda: None,
        getDevice=current,
        getDeviceCount=lambda: devices,
        getDeviceProperties=lambda number: properties,
        memGetInfo=lambda: (memory, memory),
    )
    out_of_memory = type("OutOfMemoryError", (MemoryError,), {})
    module = ModuleType("cupy")
    module.__spec__ = ModuleSpec("cupy", None)
    module.RawModule = RawModule
    module.asarray, module.empty = made(device.put), made(device.empty)
    module.zeros = made(lambda shape, dtype=np.float64: device.zeros(shape, dtype))
    module.asnumpy = lambda array: array.here().copy()
    module.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 0)
    module.cuda = SimpleNamespace(
        Device=Device, runtime=runtime, memory=SimpleNamespace(OutOfMemoryError=out_of_memory)
    )
    return module
