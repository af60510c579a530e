"""Arrays that are used again from step to step, and where in memory they lie.

Fresh pages cost as much as a loop over them. A loop over arrays that begin within a cache line, or at the same place of
their pages, takes up to four times as long.
"""

import functools
import itertools
import math
import threading
import weakref

import numpy as np

__all__ = ["empty", "zeros", "remember", "PLACES", "Arena", "one_per_thread"]

LINE, PAGE = 64, 4096  # bytes
_places = itertools.cycle(range(0, PAGE, PAGE // 4))


def empty(shape, dtype):
    """numpy.empty, on the border of a cache line, and at another place of its page than the arrays made before.

    Parameters
    ----------
    shape : tuple
    dtype : numpy.dtype

    Returns
    -------
    array
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < PAGE:
        room = np.empty(size + LINE, np.uint8)
        start = -room.ctypes.data % LINE
    else:
        room = np.empty(size + 2 * PAGE, np.uint8)
        start = -room.ctypes.data % PAGE + next(_places)
    return remember(room[start : start + size].view(dtype).reshape(shape))


# To ask NumPy for an array's address takes longer than a small layer's forward pass.
PLACES = {}  # {id(array): its address}, of arrays that are remembered; an entry goes when its array does
_references = {}


def remember(array):
    """The array itself, whose address stands in PLACES from now on.

    Parameters
    ----------
    array : array

    Returns
    -------
    array
    """
    key = id(array)
    # Without a line of Python that Ctrl-C could end: a dead array's address must not stay.
    _references[key] = weakref.ref(array, functools.partial(PLACES.pop, key))
    PLACES[key] = array.__array_interface__["data"][0]
    return array


def zeros(shape, dtype):
    """The same, of zeros.

    Parameters
    ----------
    shape : tuple
    dtype : numpy.dtype

    Returns
    -------
    array
    """
    found = empty(shape, dtype)
    found[...] = 0
    return found


class Arena:
    """An allocator of numpy.empty's signature that hands out the same arrays again after `rewind`.

    Parameters
    ----------
    shape : tuple
        Of the call, as is `dtype`: arena(shape, dtype) -> array, its numbers whatever they were.
    dtype : numpy.dtype
    """

    def __init__(self):
        self._arrays, self._used = {}, {}

    def __call__(self, shape, dtype):
        key = (shape, dtype)
        arrays, used = self._arrays.setdefault(key, []), self._used.get(key, 0)
        if used == len(arrays):
            arrays.append(empty(shape, dtype))
        self._used[key] = used + 1
        return arrays[used]

    def rewind(self):
        """From here on, reuse: what was handed out before may be overwritten."""
        self._used.clear()


def one_per_thread():
    """A function that gives the thread that calls it an Arena of its own, rewound.

    Returns
    -------
    function
        Of no arguments -> Arena.
    """
    own = threading.local()

    def rewound():
        own.arena = getattr(own, "arena", None) or Arena()
        own.arena.rewind()
        return own.arena

    return rewound
