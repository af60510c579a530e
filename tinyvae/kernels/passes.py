"""A whole network's pass in one compiled call, for a team of threads, below the NumPy lines that say the same.

The layers' products are done in blocks (see `blocks`), and what follows a product (bias, activation, slope) while its
block is in the cache. Every pass has one signature, so that a thread can call any of them by its address:

    team         the counters that the threads share, see `team`
    base         the number of the pass's first ticket; what a pass returns is the next one's
    arguments    a 64-bit word each: first where the array `blocks` stands, then the twin's, in its order. A number is
                 itself; an array, a network's sizes, an activation or a loss is its address; None is 0
    like         an empty array, of which only the type is used: the precision

Wherever a matrix is meant, the variable in a pass is its address, and its elements are `vector` or `matrix` there.
`hidden` and its like hold the hidden layers' arrays one behind the other, each (B, n) row by row.
"""

import numpy as np

from tinyvae.kernels.addresses import BYTES, DOUBLES, invoke, matrix, size_of, vector
from tinyvae.kernels.blocks import (
    BACK_MOST,
    BLOCKS,
    MOST,
    PLAIN,
    TURNED,
    deltas_block,
    forward_block,
    gradient_block,
    multiply,
    network,
    offsets,
    pieces,
)
from tinyvae.kernels.compile import loop
from tinyvae.kernels.optimizers import adam, adam_numpy
from tinyvae.kernels.team import meet, tickets

__all__ = [
    "forward_numpy",
    "forward",
    "losses_numpy",
    "losses",
    "deltas_numpy",
    "deltas",
    "weight_gradients_numpy",
    "weight_gradients",
    "update_numpy",
    "update",
]

# Of a block without a product.
LOSS_ROWS = 5
INPUT_ROWS = 25
ELEMENTS = 16_384


def weights_of(sizes, theta):
    """[(W0, b0), ...], views into theta, for the twins."""
    found, start = [], 0
    for n_in, n_out in zip(sizes, sizes[1:]):
        stop = start + n_in * n_out
        found.append((theta[start:stop].reshape(n_in, n_out), theta[stop : stop + n_out]))
        start = stop + n_out
    return found


def hidden_of(sizes, rows, flat):
    """[(B, n_1), ...], views into what holds the hidden layers' arrays one behind the other, for the twins."""
    ends = np.cumsum(sizes[1:-1]) * rows
    return [flat[end - rows * n : end].reshape(rows, n) for n, end in zip(sizes[1:-1], ends)]


# --- forward ------------------------------------------------------------------------------------------


def forward_numpy(activation, sizes, rows, theta, x, hidden, saved, y):
    """h <- act(h W + b), layer by layer, the last one linear. rows = B.

    activation(a, b) as `dense.bias_tanh`; sizes (n_0, n_1, ...); theta, W0, b0, W1, ...; x (B, n_0); hidden
    (B * (n_1 + ...),); saved, likewise, what the slope is told from: a + b, or `hidden` itself; y (B, n_last).
    """
    *inner, (W_last, b_last) = weights_of(sizes, theta)
    for (W, b), h, before in zip(inner, hidden_of(sizes, rows, hidden), hidden_of(sizes, rows, saved)):
        np.dot(x, W, out=h)
        if saved is not hidden:
            np.add(h, b, out=before)
        activation(h, b)
        x = h
    np.dot(x, W_last, out=y)
    y += b_last


@loop(forward_numpy)
def forward(team, base, arguments, like):
    blocks, (n_layers, sizes) = vector(arguments[0], arguments, BLOCKS), network(arguments[2], arguments)
    activation, rows, itemsize = arguments[1], arguments[3], size_of(like)
    theta, x, hidden, saved, y = arguments[4], arguments[5], arguments[6], arguments[7], arguments[8]
    for layer in range(n_layers):
        n_in, n_out, last = sizes[layer], sizes[layer + 1], layer == n_layers - 1
        out, b_all = y if last else hidden, theta + n_in * n_out * itemsize
        block_m, block_n = forward_block(blocks, rows, n_out)
        n_i, n_j = pieces(rows, block_m), pieces(n_out, block_n)
        for ticket in tickets(team, base, n_i * n_j):
            r0, j0 = ticket % n_i * block_m, ticket // n_i * block_n
            m, n, c = min(block_m, rows - r0), min(block_n, n_out - j0), out + (r0 * n_out + j0) * itemsize
            left, right = (x + r0 * n_in * itemsize, n_in, PLAIN), (theta + j0 * itemsize, n_out, PLAIN)
            multiply(blocks, blocks[MOST], left, right, (c, n_out), m, n, n_in, like)
            b = vector(b_all + j0 * itemsize, like, n)
            for r in range(m):
                row = matrix(c + r * n_out * itemsize, like, 1, n)
                if last:
                    for j in range(n):
                        row[0, j] += b[j]
                    continue
                if saved != hidden:
                    before = vector(saved + ((r0 + r) * n_out + j0) * itemsize, like, n)
                    for j in range(n):
                        before[j] = row[0, j] + b[j]
                invoke(activation, (row, b))
        base = meet(team, base, n_i * n_j)
        x, theta = hidden, b_all + n_out * itemsize
        hidden, saved = hidden + rows * n_out * itemsize, saved + rows * n_out * itemsize
    return base


def losses_numpy(loss_and_slope, rows, n_outputs, outputs, n_points, n_features, bits, x, loss, n, numbers, kept):
    """loss_r = -log p(x_r | outputs_r), and the outputs become its slope. The counts are for the pass.

    loss_and_slope(outputs, x, loss) as `bernoulli.bernoulli_loss_and_slope`; outputs (S * B, n_outputs); x (B,
    n_features), which stands for each of S samples, bits telling whether it is uint8; loss (S, B). numbers (n,): what
    loss_and_slope takes as a fourth argument, for x of floats, or None; kept (S * B, n_outputs): room for a copy of the
    outputs as they were, or None.
    """
    if kept is not None:
        kept[...] = outputs
    loss_and_slope(outputs, x, loss.reshape(-1), *([] if numbers is None else [numbers]))


@loop(losses_numpy)
def losses(team, base, arguments, like):
    loss_and_slope, rows, n_outputs, outputs = arguments[1], arguments[2], arguments[3], arguments[4]
    n_points, n_features, bits, x, loss = arguments[5], arguments[6], arguments[7], arguments[8], arguments[9]
    n_numbers, numbers, kept = arguments[10], arguments[11], arguments[12]
    n, itemsize = pieces(rows, LOSS_ROWS), size_of(like)
    for ticket in tickets(team, base, n):
        for r in range(ticket * LOSS_ROWS, min(rows, (ticket + 1) * LOSS_ROWS)):
            row = matrix(outputs + r * n_outputs * itemsize, like, 1, n_outputs)
            total, point = vector(loss + r * itemsize, like, 1), r % n_points * n_features
            if kept:
                copy = matrix(kept + r * n_outputs * itemsize, like, 1, n_outputs)
                for j in range(n_outputs):
                    copy[0, j] = row[0, j]
            if bits:
                invoke(loss_and_slope, (row, matrix(x + point, BYTES, 1, n_features), total))
                continue
            pixels = matrix(x + point * itemsize, like, 1, n_features)
            if numbers:
                invoke(loss_and_slope, (row, pixels, total, vector(numbers, like, n_numbers)))
            else:
                invoke(loss_and_slope, (row, pixels, total))
    return meet(team, base, n)


# --- backward -----------------------------------------------------------------------------------------


def deltas_numpy(slope, sizes, rows, theta, dy, saved, d, dx):
    """From dy = dL/da of the last layer to that of each hidden one, into d, and dL/dx into dx, unless dx is None.

        delta_{l-1} = (delta_l W_l') act'(a_{l-1})

    slope(delta, saved) as `dense.tanh_backward`; d and saved as `hidden` in `forward_numpy`; dx (B, n_0).
    """
    (W_first, _), *inner = weights_of(sizes, theta)
    arrays = zip(inner, hidden_of(sizes, rows, d), hidden_of(sizes, rows, saved))
    for (W, _), delta, before in reversed(list(arrays)):
        np.dot(dy, W.T, out=delta)
        slope(delta, before)
        dy = delta
    if dx is not None:
        np.dot(dy, W_first.T, out=dx)


@loop(deltas_numpy)
def deltas(team, base, arguments, like):
    blocks, (n_layers, sizes) = vector(arguments[0], arguments, BLOCKS), network(arguments[2], arguments)
    slope, rows, itemsize = arguments[1], arguments[3], size_of(like)
    theta, delta, saved, d, dx = arguments[4], arguments[5], arguments[6], arguments[7], arguments[8]
    for layer in range(n_layers - 1, -1 if dx else 0, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        W, at = theta + offsets(sizes, rows, layer)[0] * itemsize, offsets(sizes, rows, layer - 1)[1] * itemsize
        out = d + at if layer else dx
        block_m, block_n = deltas_block(blocks, n_in, n_out)
        n_i, n_j = pieces(rows, block_m), pieces(n_in, block_n)
        for ticket in tickets(team, base, n_i * n_j):
            r0, j0 = ticket % n_i * block_m, ticket // n_i * block_n
            m, n, c = min(block_m, rows - r0), min(block_n, n_in - j0), out + (r0 * n_in + j0) * itemsize
            left, right = (delta + r0 * n_out * itemsize, n_out, PLAIN), (W + j0 * n_out * itemsize, n_out, TURNED)
            multiply(blocks, blocks[BACK_MOST], left, right, (c, n_in), m, n, n_out, like)
            if layer:
                for r in range(m):
                    before = matrix(saved + at + ((r0 + r) * n_in + j0) * itemsize, like, 1, n)
                    invoke(slope, (matrix(c + r * n_in * itemsize, like, 1, n), before))
        base = meet(team, base, n_i * n_j)
        delta = out
    return base


def weight_gradients_numpy(sizes, rows, x, hidden, dy, d, weights, weighted, grads):
    """dW = (weights h)' delta, db = weights' delta of each layer, into grads, laid out as theta.

    x, hidden, dy and d as in `forward_numpy` and `deltas_numpy`; weights (B,), each row's share of the loss, or None
    for 1; weighted (B * (n_0 + n_1 + ...),), room for weights h, or None.
    """
    weights = np.ones(rows, grads.dtype) if weights is None else weights
    inputs = [x.reshape(rows, sizes[0]), *hidden_of(sizes, rows, hidden)]
    for (dW, db), h, delta in zip(weights_of(sizes, grads), inputs, [*hidden_of(sizes, rows, d), dy]):
        np.dot((weights[:, None] * h).T, delta, out=dW)
        np.dot(weights, delta, out=db)


@loop(weight_gradients_numpy)
def weight_gradients(team, base, arguments, like):
    blocks, (n_layers, sizes) = vector(arguments[0], arguments, BLOCKS), network(arguments[1], arguments)
    rows, x, hidden, dy, d = arguments[2], arguments[3], arguments[4], arguments[5], arguments[6]
    weighted, grads, itemsize = arguments[8], arguments[9], size_of(like)
    weights = vector(arguments[7], like, rows if arguments[7] else 0)

    # The inputs are weighted, not the deltas: those are asked for again without weights, and are the larger.
    if len(weights):
        n = pieces(rows, INPUT_ROWS)
        for ticket in tickets(team, base, n):
            for layer in range(n_layers):
                n_in, at = sizes[layer], offsets(sizes, rows, layer - 1)[1] * itemsize
                source = hidden + at if layer else x
                target = weighted + rows * sizes[0] * itemsize + at if layer else weighted
                for r in range(ticket * INPUT_ROWS, min(rows, (ticket + 1) * INPUT_ROWS)):
                    h = vector(source + r * n_in * itemsize, like, n_in)
                    out = vector(target + r * n_in * itemsize, like, n_in)
                    for j in range(n_in):
                        out[j] = weights[r] * h[j]
        base = meet(team, base, n)
        x, hidden = weighted, weighted + rows * sizes[0] * itemsize

    n = 0  # no layer waits for another here: all their blocks are one phase
    for layer in range(n_layers):
        n += pieces(sizes[layer], gradient_block(blocks, sizes[layer], sizes[layer + 1]))
    for ticket in tickets(team, base, n):
        layer, block, block_m = 0, ticket, gradient_block(blocks, sizes[0], sizes[1])
        while block >= pieces(sizes[layer], block_m):
            block -= pieces(sizes[layer], block_m)
            layer += 1
            block_m = gradient_block(blocks, sizes[layer], sizes[layer + 1])
        n_in, n_out, r0 = sizes[layer], sizes[layer + 1], block * block_m
        before_weights, before_output = offsets(sizes, rows, layer)
        h = hidden + offsets(sizes, rows, layer - 1)[1] * itemsize if layer else x
        delta = d + before_output * itemsize if layer < n_layers - 1 else dy
        m, dW = min(block_m, n_in - r0), grads + before_weights * itemsize
        left, right, c = (h + r0 * itemsize, n_in, TURNED), (delta, n_out, PLAIN), dW + r0 * n_out * itemsize
        multiply(blocks, blocks[MOST], left, right, (c, n_out), m, n_out, rows, like)
        if r0 + m == n_in:  # whoever has a layer's last block adds up db, too
            db = vector(dW + n_in * n_out * itemsize, like, n_out)
            db[:] = 0
            for r in range(rows):
                row = vector(delta + r * n_out * itemsize, like, n_out)
                share = weights[r] if len(weights) else like.dtype.type(1)
                for j in range(n_out):
                    db[j] += share * row[j]
    return meet(team, base, n)


# --- the optimiser ------------------------------------------------------------------------------------


def update_numpy(n, theta, grad, m, v, numbers):
    """Adam's step, see `optimizers.adam`. theta, grad, m, v (n,); numbers, its five, float64."""
    adam_numpy(theta, grad, m, v, *numbers)


@loop(update_numpy)
def update(team, base, arguments, like):
    length, n_blocks = arguments[1], pieces(arguments[1], ELEMENTS)
    for ticket in tickets(team, base, n_blocks):
        at, n = ticket * ELEMENTS * size_of(like), min(ELEMENTS, length - ticket * ELEMENTS)
        theta, grad = vector(arguments[2] + at, like, n), vector(arguments[3] + at, like, n)
        m, v = vector(arguments[4] + at, like, n), vector(arguments[5] + at, like, n)
        numbers = vector(arguments[6], DOUBLES, 5)
        adam(theta, grad, m, v, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
    return meet(team, base, n_blocks)
