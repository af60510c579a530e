"""Waiting for another thread without going to sleep: to be woken takes longer than a small product.

Each compiled loop stands directly below its NumPy twin and takes the same arguments.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinyvae.kernels.compile import loop

__all__ = ["load", "wait_for_change_numpy", "wait_for_change"]

SETTLE = 5000  # turns, a few microseconds, in which the other thread lets go of Python's lock


@intrinsic
def load(typing_context, flag):
    """flag[0], read from memory each time, for use inside a compiled loop. flag (n,) int64."""

    def generate(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.load_atomic(cgutils.gep_inbounds(builder, array.data, 0), "acquire", 8)

    return types.int64(flag), generate


def wait_for_change_numpy(flag, seen, turns):
    """Whether flag[0] is no longer `seen`, after so many looks at it at most. flag (n,) int64."""
    return bool(flag[0] != seen)


@loop(wait_for_change_numpy)
def wait_for_change(flag, seen, turns):
    for _ in range(turns):
        if load(flag) != seen:
            for _ in range(SETTLE):
                load(flag)
            return True
    return False
