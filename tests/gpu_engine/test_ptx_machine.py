"""The machine that runs PTX on the CPU: what instructions do, and what it refuses.

Expected values are of the PTX ISA manual, chapter "Instruction Set".
"""

import math
import re
import struct

import numpy as np
import pytest

from support.host_device import ORDERS, Launch, compiled, needs_compiler, run
from support.ptx import PtxError, parse, translate

KERNEL = """
.version 9.0
.target sm_90
.address_size 64
{constants}
.visible .entry kernel(.param .u64 kernel_param_0)
{{
    .reg .pred %p<4>;
    .reg .b16 %rs<4>;
    .reg .b32 %r<9>;
    .reg .b64 %rd<9>;
    .reg .f64 %fd<9>;
    .reg .f32 %f<4>;
    ld.param.u64 %rd1, [kernel_param_0];
    cvta.to.global.u64 %rd2, %rd1;
{body}
    ret;
}}
"""
TID = "mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 8; add.s64 %rd3, %rd2, %rd3;"
HALF_A_WARP = f"""{TID}
    setp.lt.u32 %p1, %r1, 16;
    @%p1 bra $L;
    shfl.sync.bfly.b32 %r2|%p2, %r1, 1, 31, -1;
$L:"""
NAN, INF = math.nan, math.inf


def result(body, cells=1, threads=32, order="in order", constants=""):
    """What a kernel leaves in its array, ``cells`` uint64 that begin as 0."""
    memory = np.zeros(cells, np.uint64)
    library = compiled(KERNEL.format(body=body, constants=constants), "machine")
    run(library, "kernel", Launch(threads // 32, 1, 32, ORDERS.index(order), 1), (memory,))
    return memory


def results(kind, register, cases):
    """What ``register`` holds after each of the cases, (instructions, expected)."""
    store = f"st.global.{kind} [%rd2+{{}}], {register};\n"
    body = "".join(f"{text}; {store.format(8 * i + 8)}" for i, (text, _) in enumerate(cases))
    return result(body, len(cases) + 1)[1:]


def double(value):
    """A float64 as PTX writes it."""
    return f"0d{struct.pack('>d', value).hex().upper()}"


@needs_compiler
def test_float64_instructions():
    cases = [
        (f"add.rn.f64 %fd1, {double(0.1)}, {double(0.2)}", 0.1 + 0.2),
        (f"fma.rn.f64 %fd1, {double(1 + 2**-30)}, {double(1 - 2**-30)}, {double(-1)}", -(2.0**-60)),
        (f"div.rn.f64 %fd1, {double(1)}, {double(3)}", 1 / 3),
        (f"sqrt.rn.f64 %fd1, {double(2)}", math.sqrt(2)),
        (f"max.f64 %fd1, {double(NAN)}, {double(1)}", 1.0),
        (f"neg.f64 %fd1, {double(0)}", -0.0),
        (f"abs.f64 %fd1, {double(-INF)}", INF),
        (f"cvt.rni.f64.f64 %fd1, {double(2.5)}", 2.0),
        (f"cvt.rmi.f64.f64 %fd1, {double(-2.5)}", -3.0),
        ("cvt.rn.f64.s32 %fd1, -7", -7.0),
        ("mov.b64 %fd1, {0, 1072693248}", 1.0),
    ]
    actual = results("f64", "%fd1", cases).view(np.float64)
    assert actual.tobytes() == np.array([value for _, value in cases]).tobytes()


@needs_compiler
def test_integer_instructions():
    cases = [
        ("add.s32 %r2, 2147483647, 1; cvt.s64.s32 %rd4, %r2", -(2**31)),
        ("mul.wide.s32 %rd4, -3, 5", -15),
        ("mul.lo.s32 %r2, 65536, 65537; cvt.u64.u32 %rd4, %r2", 65536),
        ("mul.hi.u32 %r2, 4294967295, 4294967295; cvt.u64.u32 %rd4, %r2", 4294967294),
        ("shl.b64 %rd4, 1, 64", 0),
        ("shr.s64 %rd4, -8, 70", -1),
        ("shr.u32 %r2, 8, 40; cvt.u64.u32 %rd4, %r2", 0),
        ("div.s64 %rd4, -7, 2", -3),
        ("rem.s64 %rd4, -7, 2", -1),
        ("brev.b64 %rd4, 1", -(2**63)),
        ("clz.b64 %r2, 256; cvt.u64.u32 %rd4, %r2", 55),
        ("clz.b32 %r2, 0; cvt.u64.u32 %rd4, %r2", 32),
        ("bfind.shiftamt.u64 %r2, 1; cvt.u64.u32 %rd4, %r2", 63),
        ("popc.b64 %r2, -1; cvt.u64.u32 %rd4, %r2", 64),
        ("bfi.b64 %rd4, 5, -1, 4, 4", -1 - (0xA << 4)),
        ("mov.u16 %rs1, 200; cvt.s64.s16 %rd4, %rs1", 200),
        ("st.global.u8 [%rd2], 200; ld.global.s8 %rs1, [%rd2]; cvt.s64.s16 %rd4, %rs1", -56),
    ]
    assert results("u64", "%rd4", cases).view(np.int64).tolist() == [v for _, v in cases]


@needs_compiler
def test_comparisons_with_nan():
    text = "setp.{}.f64 %p1, {}, {}; selp.b64 %rd4, 1, 0, %p1"
    cases = []
    for a, b in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (NAN, 1.0), (1.0, NAN)]:
        ordered = {"eq": a == b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}
        ordered["ne"] = a < b or a > b
        unordered = a != a or b != b
        every = ordered | {f"{name}u": value or unordered for name, value in ordered.items()}
        every |= {"num": not unordered, "nan": unordered}
        cases += [(text.format(n, double(a), double(b)), int(is_so)) for n, is_so in every.items()]
    assert results("u64", "%rd4", cases).tolist() == [expected for _, expected in cases]


@needs_compiler
def test_branches_guards_constants_and_vectors():
    constants = ".const .align 16 .b8 table[16] = {1, 0, 0, 0, 0, 0, 0, 0, 2};"
    body = """
    mov.u64 %rd5, table;
    ld.const.v2.u64 {%rd6, %rd7}, [%rd5];
    mov.u64 %rd4, 0;
$L_again:
    add.s64 %rd4, %rd4, %rd7;
    setp.lt.u64 %p1, %rd4, 10;
    @%p1 bra $L_again;
    @!%p1 st.global.v2.u64 [%rd2], {%rd4, %rd6};
"""
    assert result(body, 2, constants=constants).tolist() == [10, 1]


@needs_compiler
@pytest.mark.parametrize("order", ORDERS)
def test_threads_meet_in_a_shuffle(order):
    """A butterfly of five steps sums the warp's lanes, once for each of two warps."""
    step = "shfl.sync.bfly.b32 %r2|%p1, %r1, {}, 31, -1; add.s32 %r1, %r1, %r2;\n"
    steps = "".join(step.format(lanes) for lanes in (16, 8, 4, 2, 1))
    body = f"""
    {TID}
    mov.u32 %r3, %ctaid.x;
    mul.wide.u32 %rd4, %r3, 256;
    add.s64 %rd3, %rd3, %rd4;
    add.s32 %r1, %r1, %r3;
    {steps}
    cvt.u64.u32 %rd4, %r1;
    st.global.u64 [%rd3], %rd4;
"""
    assert result(body, 64, 64, order).tolist() == [496] * 32 + [528] * 32


@needs_compiler
@pytest.mark.parametrize("order", ORDERS)
def test_atomics_add_up(order):
    body = "atom.global.add.u32 %r1, [%rd2], 3;"
    assert result(body, 1, 4096, order)[0] == 3 * 4096


@needs_compiler
def test_a_race_is_seen():
    """A thread that stores what it should add depends on the order."""
    body = f"{TID} cvt.u64.u32 %rd4, %r1; st.global.u64 [%rd2], %rd4;"
    assert result(body)[0] == 31
    assert result(body, order="shuffled")[0] != 31


@needs_compiler
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("ld.global.v2.u64 {%rd4, %rd5}, [%rd2+8];", "an access of 16 bytes that is not aligned"),
        ("st.global.u32 [%rd2+2], %r1;", "an access of 4 bytes that is not aligned"),
        ("shfl.sync.bfly.b32 %r2|%p2, %r1, 1, 15, -1;", "a shuffle of a part of a warp"),
        (HALF_A_WARP, "a warp's threads do not meet"),
        ("div.s32 %r1, 1, %r1;", "a division of integers by 0"),
    ],
)
def test_what_a_device_would_not_do_is_a_fault(body, fault):
    with pytest.raises(RuntimeError, match=re.escape(f"kernel: {fault}")):
        result(body, 4)


@pytest.mark.parametrize(
    "text",
    [
        "tex.2d.v4.f32.s32 {%r1, %r2, %r3, %r4}, [%rd1, {%r1, %r2}]",
        "add.rz.f64 %fd1, %fd1, %fd1",
        "setp.lt.and.s32 %p1, %r1, %r2, %p2",
        "add.s32 %r1, %r2",
        "add.s32 %r1, %r2, %r99",
        "ld.shared.u32 %r1, [%rd1]",
        "shfl.sync.up.b32 %r2|%p1, %r1, 1, 0, -1",
        "mov.u64 %rd1, nowhere",
    ],
)
def test_an_instruction_that_is_not_known_is_named(text):
    with pytest.raises(PtxError, match=re.escape(f"this instruction of kernel: {text}; add it to")):
        translate(parse(KERNEL.format(body=f"    {text};", constants="")))


@needs_compiler
def test_arguments_must_have_the_parameters_sizes():
    library = compiled(KERNEL.format(body="", constants=""), "machine")
    with pytest.raises(AssertionError, match=r"takes arguments of \[8\] bytes, not \[4\]"):
        run(library, "kernel", Launch(1, 1, 32, 0, 1), (np.int32(1),))
