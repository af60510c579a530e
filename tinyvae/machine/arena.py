"""Arrays that are used again from step to step: fresh pages cost as much as a loop over them."""

import threading

import numpy as np

__all__ = ["Arena", "one_per_thread"]


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
            arrays.append(np.empty(shape, dtype))
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
