"""
Vectors for numba: `Lanes` is one SIMD value, the same amplitude of several samples or several amplitudes of one.

Left to itself the compiler guards every inner loop with overlap checks, or gives up on it. Saying outright which
numbers move together costs this page and makes the kernels as fast as hand-written vector code on any CPU that
LLVM knows (a wide vector becomes several narrow ones where need be).
"""

from __future__ import annotations

import operator
from typing import Any

from qstore_appliance.engine.kernel_cache import lane_bits, prepare_environment

# numba reads its environment once, when it is imported; all kernels come through this module.
prepare_environment()

import numba  # noqa: E402
import numpy  # noqa: E402
from llvmlite import ir  # noqa: E402
from numba import extending  # noqa: E402
from numba.core import cgutils, types  # noqa: E402

# numba's own annotations describe these decorators as if they returned plain functions of the wrong arguments.
_numba: Any = extending
_tools: Any = cgutils
_config: Any = numba.config


def njit(function: Any = None, **options: Any) -> Any:
    """
    numba's, for functions that only kernels call: what Python would need to call them takes as long to compile as they
    do. One with `cache=True` is a door, and Python calls it.
    """
    if not options.get("cache"):
        options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = numba.njit(**options)
    return compiled if function is None else compiled(function)


prange: Any = numba.prange
set_threads: Any = numba.set_num_threads
this_thread: Any = numba.get_thread_id
most_threads: int = _config.NUMBA_NUM_THREADS


@njit
def signed(index: int) -> Any:
    """The number of a parallel loop's turn: numba makes it unsigned, and mixed with others a floating number."""
    return numpy.int64(index)


LANE_BITS = lane_bits()
WIDTH = 1 << LANE_BITS
"""Numbers side by side: 16 with AVX-512, else 8, which is one AVX register or two of most other processors'."""


class LanesType(types.Type):
    """`WIDTH` numbers of one floating type."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype} x {WIDTH})")


@_numba.register_model(LanesType)
class _LanesModel(extending.models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: LanesType) -> None:
        element = ir.FloatType() if fe_type.dtype == types.float32 else ir.DoubleType()
        initialise: Any = super().__init__
        initialise(dmm, fe_type, ir.VectorType(element, WIDTH))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any, lanes: LanesType) -> Any:
    """The address of row `row` of a contiguous [rows, WIDTH] array."""
    view = context.make_array(array_type)(context, builder, array)
    zero = context.get_constant(types.intp, 0)
    address = _tools.get_item_pointer(
        context, builder, array_type, view, [row, zero], wraparound=False, boundscheck=False
    )
    return builder.bitcast(address, context.get_value_type(lanes).as_pointer())


def _alignment(lanes: LanesType) -> int:
    # Rows are aligned to their element only: numpy promises no more.
    return int(lanes.dtype.bitwidth) // 8


@_numba.intrinsic
def load(typingctx: Any, array: Any, row: Any) -> Any:
    """The lanes of one row of a [rows, WIDTH] array."""
    lanes = LanesType(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], lanes)
        return builder.load(address, align=_alignment(lanes))

    return lanes(array, types.intp), codegen


@_numba.intrinsic
def store(typingctx: Any, array: Any, row: Any, value: Any) -> Any:
    """Put lanes into one row of a [rows, WIDTH] array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], signature.args[2])
        builder.store(arguments[2], address, align=_alignment(signature.args[2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@_numba.intrinsic
def splat(typingctx: Any, number: Any) -> Any:
    """The same number in every lane."""
    lanes = LanesType(number)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(lanes)
        seed = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[0], ir.Constant(ir.IntType(32), 0))
        spread = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return builder.shuffle_vector(seed, ir.Constant(vector, ir.Undefined), spread)

    return lanes(number), codegen


@_numba.intrinsic
def mirrored(typingctx: Any, lanes: Any, distance: Any) -> Any:
    """Every lane with the one whose number differs in the literal bit `distance`: 1, 2, 4 or 8."""
    if not isinstance(distance, types.IntegerLiteral):
        raise numba.errors.RequireLiteralValue("the distance must be written out")
    step = distance.literal_value

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        order = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [lane ^ step for lane in range(WIDTH)])
        return builder.shuffle_vector(arguments[0], ir.Constant(arguments[0].type, ir.Undefined), order)

    return lanes(lanes, distance), codegen


@_numba.intrinsic
def total(typingctx: Any, lanes: Any) -> Any:
    """The sum of all lanes, always in the same order."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = [builder.extract_element(arguments[0], ir.Constant(ir.IntType(32), lane)) for lane in range(WIDTH)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[k], parts[k + half]) for k in range(half)]
        return parts[0]

    return lanes.dtype(lanes), codegen


@_numba.intrinsic
def converted(typingctx: Any, lanes: Any, number: Any) -> Any:
    """Lanes in the floating type of `number`."""
    wanted = LanesType(number)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, have = context.get_value_type(wanted), signature.args[0].dtype.bitwidth
        if have == wanted.dtype.bitwidth:
            return arguments[0]
        change = builder.fptrunc if have > wanted.dtype.bitwidth else builder.fpext
        return change(arguments[0], vector)

    return wanted(lanes, number), codegen


@_numba.intrinsic
def power_of_two(typingctx: Any, lanes: Any) -> Any:
    """2**n for whole numbers n from -1022 to 1023 in float64 lanes; where a lane is not a number, 1."""
    name, bits = f"llvm.fptosi.sat.v{WIDTH}i64.v{WIDTH}f64", ir.VectorType(ir.IntType(64), WIDTH)

    def constant(number: int) -> Any:
        return ir.Constant(bits, [number] * WIDTH)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = arguments[0].type
        convert = _tools.get_or_insert_function(builder.module, ir.FunctionType(bits, [vector]), name)
        exponent = builder.add(builder.call(convert, arguments), constant(1023))
        return builder.bitcast(builder.shl(exponent, constant(52)), vector)

    return lanes(lanes), codegen


@_numba.intrinsic
def at_least(typingctx: Any, lanes: Any, floor: Any) -> Any:
    """The larger of two in every lane; the first where that is not a number."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        smaller = builder.fcmp_ordered("<", arguments[0], arguments[1])
        return builder.select(smaller, arguments[1], arguments[0])

    return lanes(lanes, lanes), codegen


@_numba.intrinsic
def parity(typingctx: Any, number: Any) -> Any:
    """1 where a whole number has an odd number of ones, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.and_(builder.ctpop(arguments[0]), ir.Constant(arguments[0].type, 1))

    return types.int64(types.int64), codegen


def _binary(symbol: Any, instruction: str) -> None:
    @_numba.type_callable(symbol)
    def typer(context: Any) -> Any:
        def resolve(left: Any, right: Any) -> Any:
            if isinstance(left, LanesType) and left == right:
                return left
            return None

        return resolve

    @_numba.lower_builtin(symbol, LanesType, LanesType)
    def lowering(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)


_binary(operator.add, "fadd")
_binary(operator.sub, "fsub")
_binary(operator.mul, "fmul")


@_numba.type_callable(operator.neg)
def _type_negation(context: Any) -> Any:
    def resolve(value: Any) -> Any:
        return value if isinstance(value, LanesType) else None

    return resolve


@_numba.lower_builtin(operator.neg, LanesType)
def _lower_negation(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fneg(arguments[0])
