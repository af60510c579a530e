"""Compiled functions and arrays by their addresses: how one pass serves every activation, likelihood and network.

A pass over a network (`passes`) would be compiled anew for each activation if it took the loop as a function. It takes
the loop's address instead, and calls it as C would call a function pointer.

An `@intrinsic` is run by the compiler: from the types of its arguments it makes the type of its result, and `generate`
writes the machine's instructions.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

__all__ = [
    "BYTES",
    "WORDS",
    "DOUBLES",
    "address",
    "array_type",
    "vector",
    "matrix",
    "size_of",
    "invoke",
    "invoke_pass",
    "gemm",
]


# Types for `vector` and `matrix`, which take nothing else from an array.
BYTES, WORDS, DOUBLES = (np.empty(0, dtype) for dtype in (np.uint8, np.int64, np.float64))


def array_type(dtype, ndim):
    """Numba's name for contiguous arrays.

    Parameters
    ----------
    dtype : numpy.dtype
    ndim : int

    Returns
    -------
    numba.types.Array
    """
    return types.Array(numba.from_dtype(dtype), ndim, "C")


def address(kernel, *signature):
    """Where the machine code of a compiled loop stands, for arguments of these types; compiled where it is not yet.

    Parameters
    ----------
    kernel : function
        Made by `compile.loop`; it returns nothing, or an int64.
    *signature : numba types
        Of its arguments.

    Returns
    -------
    int
    """
    kernel.compile(signature)
    compiled = kernel.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@intrinsic
def pointer(typing_context, place, like):
    """An address as a pointer to elements of the array `like`'s type, for use inside a compiled loop."""
    kind = types.CPointer(like.dtype)

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return kind(place, like), generate


@intrinsic
def size_of(typing_context, like):
    """Bytes of an element of the array `like`'s type. By the type: what `like` itself holds may be of another."""
    size = like.dtype.bitwidth // 8

    def generate(context, builder, signature, args):
        return context.get_constant(types.int64, size)

    return types.int64(like), generate


@intrinsic
def invoke(typing_context, place, args):
    """Call the compiled function at an address with a tuple of arguments, for use inside a compiled loop.

    Its error status is dropped: the loops that are called so raise nothing.
    """
    return types.none(place, args), _call(types.none, args)


@intrinsic
def invoke_pass(typing_context, place, args):
    """The same for a pass, which returns the ticket with which the next begins."""
    return types.int64(place, args), _call(types.int64, args)


def _call(result, args):
    kinds = tuple(args.types)

    def generate(context, builder, signature, values):
        kind = context.call_conv.get_function_type(result, kinds)
        function = builder.inttoptr(values[0], kind.as_pointer())
        arguments = [builder.extract_value(values[1], i) for i in range(len(kinds))]
        _, found = context.call_conv.call_function(builder, function, result, kinds, arguments)
        return context.get_dummy_value() if result == types.none else found

    return generate


@intrinsic
def gemm(typing_context, place, turn_a, turn_b, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """c = a b + beta c by BLAS's gemm at an address, a and b transposed where turn_a and turn_b are 112, else 111.

    c (m, n), row by row, as are a and b; k, the length of the sums; a, b, c are addresses; lda, ldb, ldc, elements
    from row to row. The precision is beta's. For use inside a compiled loop.
    """
    kind = beta

    def generate(context, builder, signature, args):
        place, turn_a, turn_b, m, n, k, a, lda, b, ldb, beta, c, ldc = args
        int32, int64, real = ir.IntType(32), ir.IntType(64), context.get_value_type(kind)
        kinds = [int32] * 3 + [int64] * 3 + [real, int64, int64, int64, int64, real, int64, int64]
        function = builder.inttoptr(place, ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        by_rows, one = ir.Constant(int32, 101), ir.Constant(real, 1.0)  # 101: CBLAS's name for row by row
        turns = [builder.trunc(turn, int32) for turn in (turn_a, turn_b)]
        builder.call(function, [by_rows, *turns, m, n, k, one, a, lda, b, ldb, beta, c, ldc])
        return context.get_dummy_value()

    return types.void(place, turn_a, turn_b, m, n, k, a, lda, b, ldb, beta, c, ldc), generate


@register_jitable
def vector(place, like, n):
    """The n elements at an address, of the array `like`'s type."""
    return numba.carray(pointer(place, like), n)


@register_jitable
def matrix(place, like, rows, columns):
    """The elements at an address as a matrix, row by row, of the array `like`'s type."""
    return numba.carray(pointer(place, like), (rows, columns))
