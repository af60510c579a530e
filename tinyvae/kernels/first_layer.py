"""A first layer of black and white pixels: rows of its weights are added up for the ones, nothing is multiplied.

Each compiled pass (see `passes`) stands directly below its NumPy twin and takes the same arguments.
"""

import numpy as np
from numba.extending import register_jitable

from tinyvae.kernels.addresses import BYTES, WORDS, invoke, matrix, size_of, vector
from tinyvae.kernels.blocks import pieces
from tinyvae.kernels.compile import loop
from tinyvae.kernels.team import meet, tickets

__all__ = [
    "POINTS",
    "PIXELS",
    "places_shape",
    "first_forward_numpy",
    "first_forward",
    "first_gradient_numpy",
    "first_gradient",
]

POINTS = 5  # of a block of the forward pass
PIXELS = 25  # of a block of the gradient


def places_shape(n_sums, n_terms, block):
    """The shape of the room that a pass needs for the places of ones: for each block, and for sums of so many terms."""
    return pieces(n_sums, block) + 1, n_terms + 1


@register_jitable
def add_rows(places, n, W, n_columns, total, like):
    """total <- the sum of W's rows at places[:n]; W is an address."""
    total[:] = 0
    row, k = n_columns * size_of(like), 0
    while k + 8 <= n:  # eight at a time: an eighth of the passes over `total`
        w0, w1 = vector(W + places[k] * row, like, n_columns), vector(W + places[k + 1] * row, like, n_columns)
        w2, w3 = vector(W + places[k + 2] * row, like, n_columns), vector(W + places[k + 3] * row, like, n_columns)
        w4, w5 = vector(W + places[k + 4] * row, like, n_columns), vector(W + places[k + 5] * row, like, n_columns)
        w6, w7 = vector(W + places[k + 6] * row, like, n_columns), vector(W + places[k + 7] * row, like, n_columns)
        for j in range(n_columns):
            total[j] += ((w0[j] + w1[j]) + (w2[j] + w3[j])) + ((w4[j] + w5[j]) + (w6[j] + w7[j]))
        k += 8
    while k + 2 <= n:
        w0, w1 = vector(W + places[k] * row, like, n_columns), vector(W + places[k + 1] * row, like, n_columns)
        for j in range(n_columns):
            total[j] += w0[j] + w1[j]
        k += 2
    if k < n:
        w0 = vector(W + places[k] * row, like, n_columns)
        for j in range(n_columns):
            total[j] += w0[j]


def first_forward_numpy(activation, rows, n_in, n_out, theta, x, h, saved, places):
    """h <- act(x W + b), x (B, n_in) uint8 holding 0 and 1; theta begins with W and b; h, saved with B n_out elements.

    Where pixels are ones, rows of W are added up: nothing is multiplied. places: `places_shape`, int64,
    room.
    """
    n = rows * n_out
    b, out = theta[n_in * n_out :][:n_out], h[:n].reshape(rows, n_out)
    np.dot(x.astype(theta.dtype), theta[: n_in * n_out].reshape(n_in, n_out), out=out)
    if saved is not h:
        np.add(out, b, out=saved[:n].reshape(rows, n_out))
    activation(out, b)


@loop(first_forward_numpy)
def first_forward(team, base, arguments, like):
    activation, rows, n_in, n_out, itemsize = arguments[1], arguments[2], arguments[3], arguments[4], size_of(like)
    theta, x, h, saved, room = arguments[5], arguments[6], arguments[7], arguments[8], arguments[9]
    b, n_blocks = vector(theta + n_in * n_out * itemsize, like, n_out), pieces(rows, POINTS)
    for ticket in tickets(team, base, n_blocks):
        places = vector(room + ticket * (n_in + 1) * 8, WORDS, n_in + 1)
        for r in range(ticket * POINTS, min(rows, (ticket + 1) * POINTS)):
            pixels, n = vector(x + r * n_in, BYTES, n_in), 0
            for j in range(n_in):
                places[n] = j  # overwritten by the next, unless this one is a one
                n += pixels[j] != 0
            row = matrix(h + r * n_out * itemsize, like, 1, n_out)
            add_rows(places, n, theta, n_out, row[0], like)
            if saved != h:
                before = vector(saved + r * n_out * itemsize, like, n_out)
                for j in range(n_out):
                    before[j] = row[0, j] + b[j]
            invoke(activation, (row, b))
    return meet(team, base, n_blocks)


def first_gradient_numpy(rows, n_in, n_out, x, delta, grads, places):
    """dW = x' delta, db = 1' delta, one behind the other in grads; x (B, n_in) uint8 holding 0 and 1.

    places: `places_shape`, int64, room.
    """
    delta = delta[: rows * n_out].reshape(rows, n_out)
    np.dot(x.astype(delta.dtype).T, delta, out=grads[: n_in * n_out].reshape(n_in, n_out))
    delta.sum(axis=0, out=grads[n_in * n_out :][:n_out])


@loop(first_gradient_numpy)
def first_gradient(team, base, arguments, like):
    rows, n_in, n_out, itemsize = arguments[1], arguments[2], arguments[3], size_of(like)
    x, delta, grads, room = arguments[4], arguments[5], arguments[6], arguments[7]
    n_blocks = pieces(n_in, PIXELS) + 1
    for ticket in tickets(team, base, n_blocks):
        places = vector(room + ticket * (rows + 1) * 8, WORDS, rows + 1)
        if ticket == n_blocks - 1:  # db: all rows of delta are added up
            for r in range(rows):
                places[r] = r
            add_rows(places, rows, delta, n_out, vector(grads + n_in * n_out * itemsize, like, n_out), like)
            continue
        for j in range(ticket * PIXELS, min(n_in, (ticket + 1) * PIXELS)):
            column, n = vector(x + j, BYTES, (rows - 1) * n_in + 1), 0
            for r in range(rows):
                places[n] = r
                n += column[r * n_in] != 0
            add_rows(places, n, delta, n_out, vector(grads + j * n_out * itemsize, like, n_out), like)
    return meet(team, base, n_blocks)
