"""The kernels' text: it compiles for every architecture we serve, and its records are Python's."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest

from gpu_engine import METRICS, ScoreRule, layouts
from gpu_engine.device import KERNELS, OPTIONS, SOURCES, Options, definitions
from support import needs
from support.host_device import assembly, needs_compiler
from support.ptx import Instruction, parse

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = ("sm_75", "sm_90")
EVERY = Options(5, (1 << len(METRICS)) - 1)


def newest_architecture():
    """The newest that this nvcc knows."""
    listed = subprocess.run(["nvcc", "--list-gpu-code"], capture_output=True, text=True, check=True)
    return max((name for name in listed.stdout.split() if name.startswith("sm_")),
               key=lambda name: int(name[3:].rstrip("af")))  # fmt: skip


@needs.program(shutil.which("nvcc"), "no nvcc on the path: install the CUDA toolkit")
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "newest"])
def test_kernels_compile_without_spills(source, architecture, tmp_path):
    name = newest_architecture() if architecture == "newest" else architecture
    command = [
        "nvcc",
        "-cubin",
        f"-arch={name}",
        *OPTIONS,
        *definitions(source, EVERY),
        "-Xptxas=-v",
    ]
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


@needs_compiler
def test_a_trade_is_two_loads_and_seldom_a_division():
    """Of 16 bytes, for the first row and for every next one; a net profit needs no day's return.

    It divides for a trade that the window's end closes, and for one that may breach the daily loss.
    """
    net_profit = Options(5, sum(1 << METRICS.names.index(n) for n in ScoreRule().fields))
    text = assembly(KERNELS / "units.cu", definitions("units", net_profit))
    (walk,) = (f for f in parse(text).functions if f.name == "walk_units")
    opcodes = [part.opcode for part in walk.body if isinstance(part, Instruction)]
    assert opcodes.count("ld.global.v4") == 4
    assert opcodes.count("div.rn") == 3


@needs_compiler
def test_records_lie_as_the_compiler_lays_them(tmp_path):
    """Sizes and offsets of every field, by name."""
    expected, asked = [], []
    for name, record in layouts.RECORDS.items():
        expected.append(record.itemsize)
        asked.append(f"sizeof({name})")
        for field, (_, offset) in record.fields.items():
            expected.append(offset)
            asked.append(f"__builtin_offsetof({name}, {field})")
    path = tmp_path / "records.cu"
    path.write_text(
        '#include "walk.cu"\n#include "outcomes.cu"\n#include "reduce.cu"\n'
        f'extern "C" __device__ long long records[] = {{{", ".join(asked)}}};'
    )
    module = parse(assembly(path, (f"-I{KERNELS}", *definitions("walk", EVERY))))
    (records,) = (v for v in module.constants if v.name == "records")
    memory = np.zeros(records.size, np.uint8)
    memory[: len(records.values)] = records.values  # what follows the last value is 0
    assert memory.view(np.int64).tolist() == expected


def test_the_package_ships_all_kernels_and_nothing_for_the_host():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    suffixes = {path.suffix for path in KERNELS.iterdir()}
    assert suffixes == {".cu", ".cuh"} == {p[1:] for p in patterns} & {".cu", ".cuh", ".h", ".cpp"}
