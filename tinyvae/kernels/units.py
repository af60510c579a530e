"""Moments of weight gradients, unit by unit: what a layer's variance needs of many replicates of its deltas.

The compiled pass (see `passes`) stands directly below its NumPy twin and takes the same arguments.
"""

import numpy as np

from tinyvae.kernels.addresses import size_of, vector
from tinyvae.kernels.blocks import BLOCKS, MOST, PLAIN, TURNED, multiply
from tinyvae.kernels.compile import loop
from tinyvae.kernels.team import meet, tickets

__all__ = ["unit_moments_numpy", "unit_moments"]


def unit_moments_numpy(units, draws, rows, delta, gram, sums, squares, products):
    """For each unit j, with D its deltas (R, B): sums_j += D' D; squares_jr = D_r G D_r'.

    units, draws = R, rows = B; delta (units, R, B); gram = G (B, B), symmetric; sums (units, B, B); squares (units, R);
    products (units, R, B), room.
    """
    product = np.dot(delta.reshape(-1, rows), gram).reshape(delta.shape)  # units, R, B
    squares[...] = np.einsum("jrb,jrb->jr", delta, product)
    sums += np.matmul(delta.transpose(0, 2, 1), delta)


@loop(unit_moments_numpy)
def unit_moments(team, base, arguments, like):
    blocks, units, draws, rows = vector(arguments[0], arguments, BLOCKS), arguments[1], arguments[2], arguments[3]
    deltas, gram, sums, squares, itemsize = arguments[4], arguments[5], arguments[6], arguments[7], size_of(like)
    for ticket in tickets(team, base, units):
        delta, total = deltas + ticket * draws * rows * itemsize, sums + ticket * rows * rows * itemsize
        by_rows, room = (delta, rows, PLAIN), arguments[8] + ticket * draws * rows * itemsize
        multiply(blocks, blocks[MOST], by_rows, (gram, rows, PLAIN), (room, rows), draws, rows, rows, like)
        product = vector(room, like, draws * rows)
        found = vector(squares + ticket * draws * itemsize, like, draws)
        for r in range(draws):
            row, square = vector(delta + r * rows * itemsize, like, rows), like.dtype.type(0)
            for b in range(rows):
                square += row[b] * product[r * rows + b]
            found[r] = square
        multiply(blocks, blocks[MOST], (delta, rows, TURNED), by_rows, (total, rows), rows, rows, draws, like, 1)
    return meet(team, base, units)
