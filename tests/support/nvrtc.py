"""Compile CUDA with NVRTC, the compiler that a GPU host uses, called without CuPy."""

import ctypes
import ctypes.util
import sysconfig
from functools import cache
from pathlib import Path


@cache
def library():
    """NVRTC of the package nvidia-cuda-nvrtc or of the system; None where neither can be used."""
    packages = Path(sysconfig.get_path("purelib")) / "nvidia"
    names = [*sorted(packages.glob("*/lib/libnvrtc.so.*")), ctypes.util.find_library("nvrtc")]
    for name in filter(None, names):
        try:
            return ctypes.CDLL(str(name))
        except OSError:
            continue
    return None


def assembly(path, options):
    """Return the PTX of a CUDA source, and the compiler's log, which is empty as a rule."""
    program = ctypes.c_void_p()
    _check(
        "CreateProgram", ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None
    )
    words = [option.encode() for option in options]
    library().nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    log = _text("ProgramLog", program)
    ptx = _text("PTX", program)
    _check("DestroyProgram", ctypes.byref(program))
    return ptx, log


def _text(name, program):
    size = ctypes.c_size_t()
    _check(f"Get{name}Size", program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    _check(f"Get{name}", program, text)
    return text.value.decode()


def _check(name, *arguments):
    status = getattr(library(), f"nvrtc{name}")(*arguments)
    assert status == 0, f"nvrtc{name} returned {status}"
