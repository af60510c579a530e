"""Two samples of one distribution that come out alike as seldom as can be, with a joint probability that is known.

A stick is broken: way after way, the least probable first, is taken with the share that it has of what is left, or
passed. Two sticks that are broken with uniform noise u and 1 - u never take the same way but the last: no share but the
last two's reaches 1/2.

    s_i = q_i / Q_i,  Q_i = sum_{j >= i} q_j,  C_i = prod_{h < i} (1 - 2 s_h), that both pass all ways before i
    P(i, j) = C_i s_i q_j / Q_{i+1}  for i < j, and P(j, i) the same;  P(last, last) = C_last;  P(i, i) = 0 otherwise
"""

import numpy as np

__all__ = ["mirrored_sticks"]


def mirrored_sticks(probs, way, u):
    """The second of two samples, coupled to a first that is known, and what the pair weighs against independent ones.

        P(j | i) = P(i, j) / q_i,   weight = q_i q_j / P(i, j) = Q_h Q_{h+1} / C_h,  h = min(i, j) in order

    Parameters
    ----------
    probs : array (B, K, W)
        Each group's probabilities.
    way : array of int (S, B, K)
        The first sample's, drawn from probs.
    u : array (S, B, K)
        Uniform numbers, independent of `way`.

    Returns
    -------
    other : array of int (S, B, K)
        The second sample's.
    weights : array (S, B, K)
        Below 2, however many ways (s_i is at most 1 / (W - i), and their product telescopes); 0 for a pair of the last.

    Notes
    -----
    Source: Dong, Mnih & Tucker 2021. With two ways it is a bit with mirrored noise.
    """
    order = probs.argsort(axis=2)  # B, K, W: from the least probable
    q = np.take_along_axis(probs, order, axis=2).astype("float64")
    left = q[..., ::-1].cumsum(axis=2)[..., ::-1]  # Q_i
    beyond = np.append(left[..., 1:], np.ones_like(left[..., :1]), axis=2)  # Q_{i+1}; after the last, never used
    share = q / left
    passed = np.cumprod(np.append(np.ones_like(q[..., :1]), 1 - 2 * share[..., :-1], axis=2), axis=2)  # C_i

    i, j = np.indices((q.shape[2],) * 2)
    before = (passed * share / beyond)[..., None, :]  # B, K, 1, W: P(j | i), j < i
    after = (passed / (left * beyond))[..., None] * q[..., None, :]  # B, K, W, W: P(j | i), j > i
    table = np.where(j < i, before, np.where(j > i, after, 0))
    table[..., -1, -1] = passed[..., -1] / left[..., -1]
    points = np.arange(q.shape[0])[:, None], np.arange(q.shape[1])
    first = order.argsort(axis=2)[(*points, way)]  # S, B, K: where the first stands in order
    cdf = table.cumsum(axis=3)[(*points, first)]  # S, B, K, W
    second = (cdf < u[..., None] * cdf[..., -1:]).sum(axis=3)  # S, B, K
    weights = left * beyond / np.where(passed > 0, passed, 1)
    weights[..., -1] = 0
    return order[(*points, second)], weights[(*points, np.minimum(first, second))]
