"""Products with a matrix of zeros and few ones: where its ones are, and sums of the rows that they select.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. `places` (uint32) holds the
columns of the ones, row by row; row i's are places[starts[i] : starts[i + 1]].
"""

import numpy as np

from tinyvae.kernels.compile import loop

__all__ = [
    "find_ones_numpy",
    "find_ones",
    "transpose_ones_numpy",
    "transpose_ones",
    "sum_selected_rows_numpy",
    "sum_selected_rows",
]


def find_ones_numpy(x, places, starts):
    """places, starts <- where x is not 0. x (B, D) uint8 -> places (at least B D + 1,), starts (B + 1,)."""
    rows, columns = x.nonzero()
    places[: len(columns)] = columns
    places[len(columns)] = 0
    starts[:] = np.searchsorted(rows, np.arange(len(starts)))


@loop(find_ones_numpy)
def find_ones(x, places, starts):
    n = np.uint32(0)
    for i in range(x.shape[0]):
        starts[i] = n
        row = x[i]
        for j in range(row.size):
            places[n] = j  # overwritten by the next unless it is a one
            n += np.uint32(row[j] != 0)
    starts[x.shape[0]] = n
    places[n] = 0


def transpose_ones_numpy(places, starts, places_t, starts_t):
    """The same of the transposed matrix: places_t (as long as places), starts_t (D + 1,)."""
    columns = places[: starts[-1]]
    order = columns.argsort(kind="stable")
    places_t[: len(order)] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[order]
    starts_t[:] = np.searchsorted(columns[order], np.arange(len(starts_t)))


@loop(transpose_ones_numpy)
def transpose_ones(places, starts, places_t, starts_t):
    one = np.uint32(1)
    starts_t[:] = 0
    for k in range(starts[starts.size - 1]):
        starts_t[places[k] + one] += one
    for j in range(1, starts_t.size):
        starts_t[j] += starts_t[j - 1]
    for i in range(starts.size - 1):
        for k in range(starts[i], starts[i + 1]):
            j = places[k]
            places_t[starts_t[j]] = i
            starts_t[j] += one  # in the end where column j + 1 begins
    for j in range(starts_t.size - 1, 0, -1):
        starts_t[j] = starts_t[j - 1]
    starts_t[0] = 0


def sum_selected_rows_numpy(places, starts, W, out):
    """out = X W: out_i = sum of W's rows at row i's places. W (D, n), out (B, n)."""
    from scipy.sparse import csr_array

    first = starts[0]
    chosen = places[first : starts[-1]].astype("int64")
    out[...] = (
        csr_array((np.ones(len(chosen), W.dtype), chosen, (starts - first).astype("int64")), (len(out), len(W))) @ W
    )


@loop(sum_selected_rows_numpy)
def sum_selected_rows(places, starts, W, out):
    for i in range(out.shape[0]):
        k, stop = starts[i], starts[i + 1]
        total = out[i]
        total[:] = 0
        while k + np.uint32(4) <= stop:  # four at a time: a quarter of the passes over `total`
            w0, w1 = W[np.uint64(places[k])], W[np.uint64(places[k + np.uint32(1)])]
            w2, w3 = W[np.uint64(places[k + np.uint32(2)])], W[np.uint64(places[k + np.uint32(3)])]
            for j in range(total.size):
                total[j] += (w0[j] + w1[j]) + (w2[j] + w3[j])
            k += np.uint32(4)
        while k < stop:
            w0 = W[np.uint64(places[k])]
            for j in range(total.size):
                total[j] += w0[j]
            k += np.uint32(1)
