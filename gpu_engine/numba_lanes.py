"""Give Numba a value of eight float64 side by side: arithmetic on it is one instruction.

A function that is written with these operators, `where` and `full_like` runs on one float64 or on
eight of them, as its arguments are. No operation is reordered or fused, so lanes hold the same bits
as eight separate calls would.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

#: Values side by side: one AVX-512 register, two of AVX.
LANES = 8


class LanesType(types.Type):  # type: ignore[misc]
    """`LANES` float64."""

    def __init__(self) -> None:
        super().__init__("float64 lanes")


class MaskType(types.Type):  # type: ignore[misc]
    """`LANES` booleans."""

    def __init__(self) -> None:
        super().__init__("bool lanes")


LANES_TYPE, MASK_TYPE = LanesType(), MaskType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.DoubleType(), LANES))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), LANES))


def _splat(builder: Any, value: Any) -> Any:
    """Copy a scalar into every lane."""
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, lanes)


def _define(function: Any, result: types.Type, emit: Any) -> None:
    """Define a binary operator between lanes, and between lanes and a float64."""

    @infer_global(function)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            fits = len(args) == 2 and all(a in (LANES_TYPE, types.float64) for a in args)
            return signature(result, *args) if fits and LANES_TYPE in args else None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pairs = zip(sig.args, args, strict=True)
        operands = [a if kind == LANES_TYPE else _splat(builder, a) for kind, a in pairs]
        return emit(builder, *operands)

    for kinds in (
        (LANES_TYPE, LANES_TYPE),
        (LANES_TYPE, types.float64),
        (types.float64, LANES_TYPE),
    ):
        lower_builtin(function, *kinds)(lower)


def _comparison(symbol: str) -> Any:
    return lambda builder, a, b: builder.fcmp_ordered(symbol, a, b)


_define(operator.add, LANES_TYPE, lambda b, x, y: b.fadd(x, y))
_define(operator.sub, LANES_TYPE, lambda b, x, y: b.fsub(x, y))
_define(operator.mul, LANES_TYPE, lambda b, x, y: b.fmul(x, y))
_define(operator.truediv, LANES_TYPE, lambda b, x, y: b.fdiv(x, y))
for _function, _symbol in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define(_function, MASK_TYPE, _comparison(_symbol))


def _define_logic(function: Any, name: str) -> None:
    @infer_global(function)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(MASK_TYPE, *args) if args == (MASK_TYPE, MASK_TYPE) else None

    @lower_builtin(function, MASK_TYPE, MASK_TYPE)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, name)(*args)


_define_logic(operator.and_, "and_")
_define_logic(operator.or_, "or_")


@intrinsic
def where(typing_context: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Return ``yes`` where ``mask`` holds, else ``no``, lane by lane."""
    kind = LANES_TYPE if mask == MASK_TYPE else types.float64

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = []
        for own, value in zip(sig.args[1:], args[1:], strict=True):
            if kind == LANES_TYPE and own != LANES_TYPE:
                value = _splat(builder, value)
            values.append(value)
        return builder.select(args[0], *values)

    return signature(kind, mask, yes, no), emit


@intrinsic
def full_like(typing_context: Any, like: Any, value: Any) -> Any:
    """Return ``value`` in as many lanes as ``like`` has."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _splat(builder, args[1]) if like == LANES_TYPE else args[1]

    return signature(like, like, types.float64), emit


@intrinsic
def load(typing_context: Any, like: Any, array: Any, offset: Any) -> Any:
    """Load as many neighbours as ``like`` has lanes from a float64 array, from ``offset`` on."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[1])(context, builder, args[1]).data
        pointer = builder.gep(data, [args[2]])
        if like != LANES_TYPE:
            return builder.load(pointer)
        vector = ir.VectorType(ir.DoubleType(), LANES)
        return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=8)

    return signature(like, like, array, types.intp), emit


@intrinsic
def lane(typing_context: Any, value: Any, index: Any) -> Any:
    """Return one lane."""
    kind = {LANES_TYPE: types.float64, MASK_TYPE: types.boolean}.get(value, value)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if value in (LANES_TYPE, MASK_TYPE):
            index32 = builder.trunc(args[1], ir.IntType(32))
            return builder.extract_element(args[0], index32)
        return args[0]

    return signature(kind, value, types.intp), emit


@intrinsic
def any_of(typing_context: Any, mask: Any) -> Any:
    """Say whether any lane of a mask holds."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if mask != MASK_TYPE:
            return args[0]
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return signature(types.boolean, mask), emit


@intrinsic
def eight(typing_context: Any) -> Any:
    """Return zeros in all lanes: what tells a generic function that it runs on lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(ir.VectorType(ir.DoubleType(), LANES), [0.0] * LANES)

    return signature(LANES_TYPE), emit


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Return the position of the lowest set bit of a uint64 that is not 0."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return signature(types.intp, types.uint64), emit
