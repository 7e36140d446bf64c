"""The kernels' text: it compiles for every architecture we serve, and its records are Python's."""

import ctypes
import shutil
import subprocess

import pytest

from gpu_engine import layouts
from gpu_engine.device import KERNELS, OPTIONS, SOURCES, definitions
from gpu_engine.host_device import compiler, load_library
from support.backends import KERNEL_CACHE

ARCHITECTURES = ("sm_75", "sm_90")


def newest_architecture():
    """The newest that this nvcc knows."""
    listed = subprocess.run(["nvcc", "--list-gpu-code"], capture_output=True, text=True, check=True)
    return max((name for name in listed.stdout.split() if name.startswith("sm_")),
               key=lambda name: int(name[3:].rstrip("af")))  # fmt: skip


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc to compile the kernels with")
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "newest"])
def test_kernels_compile_without_spills(source, architecture, tmp_path):
    name = newest_architecture() if architecture == "newest" else architecture
    command = ["nvcc", "-cubin", f"-arch={name}", *OPTIONS, *definitions(5), "-Xptxas=-v"]
    path = KERNELS / f"{source}.cu"
    run = subprocess.run(
        [*command, str(path), "-o", str(tmp_path / "kernel.cubin")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    print(run.stderr)  # registers and spills, shown by pytest -s
    assert "warning" not in run.stderr
    assert "bytes spill stores" in run.stderr
    for line in run.stderr.splitlines():
        assert "spill stores" not in line or "0 bytes spill stores, 0 bytes spill loads" in line


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the kernels")
def test_records_have_the_compilers_sizes():
    library = load_library(KERNEL_CACHE, n_thresholds=2)
    sizes = (ctypes.c_longlong * len(layouts.RECORDS)).in_dll(library, "record_sizes")
    assert list(sizes) == [record.itemsize for record in layouts.RECORDS]


def test_kernels_ship_with_the_package():
    assert {path.suffix for path in KERNELS.iterdir()} == {".cu", ".cuh", ".h", ".cpp"}
