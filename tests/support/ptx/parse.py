"""Read a PTX module: its functions, their parameters, registers and instructions."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

#: Bytes of every fundamental type; a predicate is no memory.
SIZES = {f"{kind}{bits}": bits // 8 for kind in "bus" for bits in (8, 16, 32, 64)}
SIZES |= {"f32": 4, "f64": 8}
TYPES = {*SIZES, "pred"}


class PtxError(Exception):
    """PTX that is not understood; the message quotes it."""


class Variable(NamedTuple):
    """``count`` elements in memory: a parameter at ``offset`` of its list, an array, a constant."""

    name: str
    type: str
    count: int
    align: int
    offset: int = 0
    values: tuple[str, ...] = ()

    @property
    def size(self):
        """Bytes."""
        return SIZES[self.type] * self.count


class Label(NamedTuple):
    """A target of branches."""

    name: str


class Instruction(NamedTuple):
    """``opcode`` is the name and its modifiers, without ``types``; ``text`` is the statement."""

    guard: str
    opcode: str
    types: tuple[str, ...]
    operands: tuple[str, ...]
    text: str


@dataclass
class Function:
    """A kernel (``entry``) or a function that kernels call."""

    name: str
    entry: bool
    returns: list[Variable]
    parameters: list[Variable]
    registers: dict[str, str] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    body: list[Label | Instruction] = field(default_factory=list)


class Module(NamedTuple):
    """All of one PTX text."""

    constants: list[Variable]
    functions: list[Function]


_HEAD = re.compile(
    r"(?:\.visible\s+|\.weak\s+)*\.(entry|func)\s*(?:\(([^)]*)\)\s*)?(\w+)\s*\(([^)]*)\)([^{;]*)([{;])"
)
_VARIABLE = re.compile(
    r"\.(?:param|global|const|local)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(\w+)(?:\[(\d+)\])?"
    r"(?:\s*=\s*(?:\{([^}]*)\}|(\S+)))?$"
)
_REGISTERS = re.compile(r"\.reg\s+\.(\w+)\s+(%?\w+)(?:<(\d+)>)?$")
_LABEL = re.compile(r"(\$?\w+):(?!:)")
_INSTRUCTION = re.compile(r"(?:@(!?%\w+)\s+)?([a-z][\w.:]*)\s*(.*)$")


def parse(text):
    """Read a module.

    Raises
    ------
    PtxError
        At a statement that is none of PTX as nvcc writes it.
    """
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    module, at = Module([], []), 0
    while match := re.compile(r"\s*(\S)").match(text, at):
        at = match.start(1)
        if head := _HEAD.match(text, at):
            at = head.end()
            if head[6] == "{":
                end = _end_of_body(text, at)
                module.functions.append(_function(head, text[at:end]))
                at = end + 1
        elif re.compile(r"\.(version|target|address_size)").match(text, at):
            at = text.index("\n", at)
        else:
            end = text.index(";", at)
            module.constants.append(_variable(text[at:end].removeprefix(".visible ")))
            at = end + 1
    return module


def _end_of_body(text, at):
    depth = 1
    for brace in re.compile(r"[{}]").finditer(text, at):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.start()
    raise PtxError("a function's body does not end")


def _function(head, body):
    kind, returns, name, parameters = head.groups()[:4]
    function = Function(name, kind == "entry", _parameters(returns or ""), _parameters(parameters))
    for statement in _statements(body):
        if isinstance(statement, Label):
            function.body.append(statement)
        elif registers := _REGISTERS.match(statement):
            kind, base, count = registers.groups()
            names = [base] if count is None else [f"{base}{i}" for i in range(int(count))]
            function.registers |= dict.fromkeys(names, kind)
        elif statement.startswith((".param", ".local")):
            variable = _variable(statement)
            if variable not in function.variables:  # another scope's, of the same name and type
                function.variables.append(variable)
        elif not statement.startswith((".pragma", ".loc")):
            function.body.append(_instruction(statement))
    return function


def _statements(body):
    """Yield labels, and statements without their semicolons; scopes are dropped.

    nvcc gives what it declares in a scope one name and type everywhere, so one scope is enough.
    """
    at = 0
    while match := re.compile(r"\s*(\S)").match(body, at):
        at = match.start(1)
        if match[1] in "{}":
            at += 1
        elif label := _LABEL.match(body, at):
            yield Label(label[1])
            at = label.end()
        else:
            end = body.index(";", at)
            yield " ".join(body[at:end].split())
            at = end + 1


def _parameters(text):
    """Lay parameters out one after another, each at its alignment, as a launch passes them."""
    result, offset = [], 0
    for declared in filter(None, (part.strip() for part in text.split(","))):
        variable = _variable(re.sub(r"\.ptr\b[^%]*?(?=\w+$)", "", declared))
        offset = -(-offset // variable.align) * variable.align
        result.append(variable._replace(offset=offset))
        offset += variable.size
    return result


def _variable(text):
    match = _VARIABLE.match(" ".join(text.split()))
    if match is None or match[2] not in SIZES:
        raise PtxError(f"no variable is read from: {text}")
    align, kind, name, count, values, value = match.groups()
    listed = tuple(v.strip() for v in (values or value or "").split(",") if v.strip())
    return Variable(name, kind, int(count or 1), int(align or SIZES[kind]), values=listed)


def _instruction(text):
    match = _INSTRUCTION.match(text)
    if match is None:
        raise PtxError(f"no instruction is read from: {text}")
    guard, name, rest = match.groups()
    parts = name.split(".")
    types = tuple(part for part in parts[1:] if part in TYPES)
    opcode = ".".join(part for part in parts if part not in types)
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|[^,\s{}\[\]()][^,]*", rest)
    return Instruction(guard or "", opcode, types, tuple(o.strip() for o in operands), text)
