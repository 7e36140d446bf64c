"""Run PTX, the assembly of NVIDIA GPUs, on the CPU: `parse` reads it, `translate` makes it C++.

What the kernels do on a device is decided by their PTX: its arithmetic, its loads and their
alignment, its parameters' layout. `machine.h` gives every instruction its meaning and runs the
threads. The PTX ISA manual of NVIDIA defines all of it; the names here are the manual's.
"""

from support.ptx.parse import Instruction, PtxError, parse
from support.ptx.translate import HEADER, translate

__all__ = ["HEADER", "Instruction", "PtxError", "parse", "translate"]
