"""Make C++ of a PTX module: every function a function, every instruction a call of `machine.h`."""

import re
from itertools import count
from pathlib import Path

from support.ptx.parse import Label, PtxError

HEADER = Path(__file__).with_name("machine.h")

#: What an instruction reads: t its type, s its second type, u an u32, p a predicate.
READS = {
    "t": "abs brev clz cvta cvta.local cvta.to.global cvta.to.local mov neg not popc sqrt.rn"
    " bfind.shiftamt rcp.approx.ftz",
    "tt": "add add.rn and div div.rn max min mul.hi mul.lo mul.rn mul.wide or rem sub sub.rn xor"
    " setp.eq setp.ne setp.lt setp.le setp.gt setp.ge setp.equ setp.neu setp.ltu setp.leu setp.gtu"
    " setp.geu setp.num setp.nan",
    "ttt": "fma.rn mad.lo",
    "s": "cvt cvt.rn cvt.rni cvt.rzi cvt.rmi cvt.rpi",
    "tu": "shl shr",
    "ttp": "selp",
    "ttuu": "bfi",
}
COMPARISONS = [opcode for opcode in READS["tt"].split() if opcode.startswith("setp")]
#: Of float32 where tiny numbers are taken as 0; ``num`` and ``nan`` have no such form.
READS["tt"] += "".join(f" {opcode}.ftz" for opcode in COMPARISONS[:-2])
READS["t"] += " abs.ftz"
OPERATIONS = {opcode: reads for reads, opcodes in READS.items() for opcode in opcodes.split()}
#: Opcodes that are words of C++, or differ only in what the host does not tell apart.
NAMES = {"and": "and_", "or": "or_", "xor": "xor_", "not": "not_"}
NAMES |= dict.fromkeys(("cvta.local", "cvta.to.global", "cvta.to.local"), "cvta")
SPECIAL = ("%tid.x", "%ctaid.x", "%ctaid.y", "%ntid.x", "%nctaid.x", "%nctaid.y")
SPACES = ("param", "global", "global.nc", "local", "const")

_IMMEDIATE = re.compile(r"-?(?:0x[0-9A-Fa-f]+|\d+)$")
_ADDRESS = re.compile(r"\[(%?\w+)(?:\+(-?\d+))?\]$")


def translate(module):
    """Return a C++ translation unit with ``layout_NAME`` and ``launch_NAME`` of every kernel.

    Raises
    ------
    PtxError
        At an instruction that is not known; it is named.
    """
    text = [f'#include "{HEADER.name}"']
    text += [_constant(constant) for constant in module.constants]
    for function in sorted(module.functions, key=lambda f: f.entry):  # callees first
        text.append(_Function(function, module.constants).text())
    return "\n".join(text)


def _type(name):
    """PTX calls untyped bits b32; C++ knows them as unsigned."""
    return name.replace("b", "u")


def _constant(constant):
    values = ", ".join(_immediate(value, constant.type) for value in constant.values)
    kind = _type(constant.type)
    return (
        f"alignas({constant.align}) static {kind} {constant.name}[{constant.count}] = {{{values}}};"
    )


def _immediate(text, kind):
    if text[:2] in ("0d", "0f"):
        bits, floating = ("u64", "f64") if text[1] == "d" else ("u32", "f32")
        return f"as<{floating}>(({bits})0x{text[2:]}ull)"
    return f"({_type(kind)}){text}ull"  # a minus wraps, as two's complement does


class _Function:
    """One function on its way to C++."""

    def __init__(self, function, constants):
        self.function = function
        self.own = function.variables
        self.pointers = {p.name for p in (*function.parameters, *function.returns)}
        self.arrays = {v.name for v in (*self.own, *constants)}
        self.meetings = count(1)

    def text(self):
        """The whole function; a kernel is a class whose registers outlive a meeting."""
        body = "\n".join(f"    {self._statement(part)}" for part in self.function.body)
        registers = "".join(
            f" {_type(kind)} {self._register(name)}{{}};"
            for name, kind in self.function.registers.items()
        )
        arrays = "".join(f" alignas(16) u8 {v.name}[{v.size}]{{}};" for v in self.own)
        return (
            self._kernel(registers + arrays, body)
            if self.function.entry
            else self._callee(registers + arrays, body)
        )

    def _callee(self, declared, body):
        parameters = [f"u8* {variable.name}" for variable in self.function.returns]
        parameters += [f"const u8* {variable.name}" for variable in self.function.parameters]
        head = f"static bool {self.function.name}({', '.join(['Thread& t', *parameters])})"
        return f"{head} {{\n{declared}\n{body}\n    return false;\n}}"

    def _kernel(self, declared, body):
        name, parameters = self.function.name, self.function.parameters
        pointers = "".join(f" const u8* {p.name} = arguments + {p.offset};" for p in parameters)
        n_meetings = next(self.meetings) - 1
        resumed = "".join(f" case {i}: goto meeting_{i};" for i in range(1, n_meetings + 1))
        layout = ", ".join(f"{{{p.offset}, {p.size}}}" for p in parameters)
        return f"""
struct {name}_thread {{
    static constexpr bool MEETS = {"true" if n_meetings else "false"};
    {declared}
    bool run(Thread& t, const u8* arguments) {{
    {pointers}
    switch (t.resume) {{{resumed} }}
{body}
    return false;
    }}
}};
extern "C" const int layout_{name}[][2] = {{{{{len(parameters)}, 0}}, {layout}}};
extern "C" const char* launch_{name}(const Launch* at, const u8* arguments) {{
    static thread_local std::string problem;
    problem = launch<{name}_thread>(*at, arguments);
    return problem.c_str();
}}"""

    def _statement(self, part):
        if isinstance(part, Label):
            return f"{part.name.replace('$', '')}: ;"
        try:
            text = self._instruction(part)
        except (KeyError, ValueError, IndexError, TypeError):
            raise PtxError(
                f"the PTX machine of the tests does not know this instruction of"
                f" {self.function.name}: {part.text}; add it to tests/support/ptx"
            ) from None
        return f"if ({self._value(part.guard, 'pred')}) {{ {text} }}" if part.guard else text

    def _instruction(self, part):
        opcode, operands = part.opcode, part.operands
        if opcode in ("bra", "bra.uni"):
            (target,) = operands
            return f"goto {target.replace('$', '')};"
        if opcode in ("ret", "exit"):
            return "return false;"
        if opcode == "call.uni":
            returned, name, passed = operands
            arguments = [a.strip() for o in (returned, passed) for a in o.strip("()").split(",")]
            return f"{name}(t, {', '.join(arguments)});"
        if opcode == "mov" and "{" in "".join(operands):
            return self._pack(*operands)
        if opcode.startswith(("ld.", "st.")):
            return self._access(part)
        if opcode in ("atom.global.add", "atom.global.cas"):
            return self._atomic(part)
        if opcode == "shfl.sync.bfly":
            return self._meeting(*operands)
        return self._operation(part)

    def _operation(self, part):
        reads, (target, *sources) = OPERATIONS[part.opcode], part.operands
        of = {"t": part.types[0], "s": part.types[-1], "u": "u32", "p": "pred"}
        values = [self._value(s, of[kind]) for s, kind in zip(sources, reads, strict=True)]
        name = NAMES.get(part.opcode, part.opcode.replace(".", "_"))
        types = ", ".join(_type(kind) for kind in part.types)
        return self._put(target, f"{name}<{types}>({', '.join(values)})")

    def _pack(self, target, source):
        """Two 32-bit registers to one of 64 bits, or back."""
        if target.startswith("{"):
            low, high = self._listed(target)
            value = self._value(source, "u64")
            return self._put(low, f"(u32){value}") + self._put(high, f"(u32)({value} >> 32)")
        low, high = (self._value(operand, "u32") for operand in self._listed(source))
        return self._put(target, f"(u64){high} << 32 | {low}")

    def _access(self, part):
        (kind,) = part.types
        way, space = part.opcode.split(".", 1)
        width = int(space[-1]) if space[-3:] in (".v2", ".v4") else 1
        if space.removesuffix(f".v{width}") not in SPACES:
            raise ValueError(space)
        memory, other = part.operands if way == "st" else part.operands[::-1]
        registers = self._listed(other)
        if len(registers) != width:
            raise ValueError(other)
        address, array = self._address(memory), f"std::array<{_type(kind)}, {width}>"
        if way == "st":
            values = ", ".join(self._value(name, kind) for name in registers)
            return f"store({address}, {array}{{{values}}});"
        taken = "".join(self._put(name, f"v[{i}]") for i, name in enumerate(registers))
        return f"{{ auto v = load<{_type(kind)}, {width}>({address}); {taken} }}"

    def _atomic(self, part):
        (kind,), (target, memory, *values) = part.types, part.operands
        passed = ", ".join([self._address(memory), *(self._value(v, kind) for v in values)])
        return self._put(target, f"atom_{part.opcode.rsplit('.')[-1]}<{_type(kind)}>({passed})")

    def _meeting(self, target, source, lanes, clamp, mask):
        """A shuffle: offer a value, wait for the warp, take another lane's."""
        number, target = next(self.meetings), target.split("|")[0]
        whole = f"check_whole_warp({self._value(clamp, 'u32')}, {self._value(mask, 'u32')});"
        offer = f"{whole} t.value = {self._value(source, 'u32')};"
        source = f"t.source = (t.tid_x % WARP) ^ {self._value(lanes, 'u32')};"
        wait = f"t.resume = {number}; return true; meeting_{number}: ;"
        return f"{offer} {source} {wait} {self._put(target, 't.value')}"

    def _put(self, target, value):
        return f"put({self._register(target)}, {value});"

    def _value(self, operand, kind):
        """A C++ expression of type ``kind``."""
        kind = _type(kind)
        if operand in SPECIAL:
            return f"as<{kind}>(t.{operand[1:].replace('.', '_')})"
        if operand.startswith("!"):
            return f"!{self._register(operand[1:])}"
        if operand.startswith("%"):
            return f"as<{kind}>({self._register(operand)})"
        if _IMMEDIATE.match(operand) or operand[:2] in ("0d", "0f"):
            return _immediate(operand, kind)
        if operand in self.arrays:
            return f"address_of({operand})"
        raise ValueError(operand)

    def _address(self, operand):
        base, offset = _ADDRESS.match(operand).groups()
        offset = int(offset or 0)
        if base in self.pointers:
            return f"(u64)({base} + {offset})"
        return f"({self._value(base, 'u64')} + {offset})"

    def _register(self, name):
        if name not in self.function.registers:
            raise ValueError(name)
        return f"r_{name.removeprefix('%')}"

    def _listed(self, operand):
        return [name.strip() for name in operand.strip("{}").split(",")]
