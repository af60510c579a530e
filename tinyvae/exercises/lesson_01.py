"""Judges of lesson 01: the angle between planes, the gradient at a noisy code, the price of a pixel."""

import math

import numpy as np

from tinyvae.distributions import DiagonalGaussian
from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["plane_angle", "noisy_code_gradient", "best_ratio"]


def plane_angle(answer):
    """Judge the largest angle between two planes.

    Parameters
    ----------
    answer : callable
        (A, B) -> float.

    Raises
    ------
    Wrong
        Where it is not the largest angle, or depends on the basis.
    """
    rng = np.random.default_rng(11)
    for D, K in ((5, 2), (9, 3), (7, 1), (6, 2)):
        A, B = rng.standard_normal((2, D, K)) * rng.uniform(0.5, 3, (2, 1, K))
        _check_angle(answer, A, B, f"of two random planes, D = {D}, K = {K}")
        _check_angle(answer, A, -B @ rng.uniform(1, 2, (K, K)) + 0.5 * B, f"with another basis, D = {D}, K = {K}")
    A = rng.standard_normal((8, 3))
    _check_angle(answer, A, A @ rng.standard_normal((3, 3)), "of a plane and itself in another basis")
    _check_angle(answer, A, A + 1e-4 * rng.standard_normal((8, 3)), "of two planes that all but agree")
    Q = np.linalg.qr(rng.standard_normal((6, 4)))[0]
    _check_angle(answer, 2 * Q[:, :2], Q[:, 2:] @ [[1.0, 1.0], [0.0, 2.0]], "of two planes at right angles")
    _check_angle(answer, Q[:, :2], Q[:, [0, 2]], "of two planes that share a line")


def _angles(P, Q):
    """All angles of the planes of two orthonormal bases, from the largest to 0 or more."""
    sines = np.linalg.svd(Q - P @ (P.T @ Q), compute_uv=False)
    cosines = np.linalg.svd(P.T @ Q, compute_uv=False)[::-1]
    return np.arctan2(sines, cosines)


def _check_angle(answer, A, B, where):
    value = call(answer, A, B)
    if isinstance(value, float | np.floating) and math.isnan(value):
        raise Wrong(
            f"the result is NaN {where}: is an arcsin or arccos asked beyond 1? Either a basis is not orthonormal, or "
            "rounding has gone a little too far"
        )
    got, (P, Q) = array(value), (np.linalg.qr(M)[0] for M in (A, B))
    angles = _angles(P, Q)
    right, sines = angles[0], np.sin(angles)
    if abs(got - right) < (1e-6 if right < 0.01 else 1e-5):
        return
    unit = [M / np.linalg.norm(M, axis=0) for M in (A, B)]
    raw = [np.linalg.norm(N - M @ (M.T @ N), 2) for M, N in ((A, B), unit)]
    raw += [np.linalg.svd(M.T @ N, compute_uv=False)[-1] for M, N in ((A, B), unit)]
    columns = np.degrees(np.arccos(np.clip([u @ w for u, w in zip(unit[0].T, unit[1].T)], -1, 1)))
    mistakes = (
        (np.degrees(right), "it is in degrees"),
        (math.sin(right), "that is the sine of the angle, not yet the angle"),
        (math.cos(right), "that is the cosine of the angle, not yet the angle"),
        (math.sin(right) ** 2, "that is the square of the angle's sine"),
        (angles[-1], "that is the smallest angle between the planes: a largest cosine belongs to it"),
        (math.pi / 2 - right, "that is the complement: sine and cosine are mixed up"),
        (np.linalg.norm(sines), "the sines of all angles are added up in squares: which matrix norm is that?"),
        (np.arcsin(min(np.linalg.norm(sines), 1)), "the sines of all angles are in it: which matrix norm is that?"),
        (angles.sum(), "that is the sum of all angles"),
        (angles.mean(), "that is the mean of all angles"),
        (np.pi - right, "more than a right angle: a plane has no sign, v and -v span the same line"),
        *((np.radians(column), "that is an angle between two columns, not between the planes") for column in columns),
        *((np.arcsin(min(one, 1)), "a basis is not orthonormal") for one in raw),
        *((np.arccos(min(one, 1)), "a basis is not orthonormal") for one in raw),
    )
    for mistake, message in mistakes:
        if abs(got - mistake) < 1e-7 * max(1, abs(mistake)):
            raise Wrong(f"{message} ({where})")
    if right < 1e-6:
        raise Wrong(f"{float(got):.2g} rad {where}: does the result depend on the basis?")
    raise Wrong(f"{off(got, right)} {where}: try A = B with its columns mixed, which must give 0")


def noisy_code_gradient(answer):
    """Judge the slopes at mu and logvar of a reconstruction through noise and of the KL.

    Parameters
    ----------
    answer : callable
        (mu, logvar, eps, dz, beta) -> dmu, dlogvar.

    Raises
    ------
    Wrong
        Where they are not the slopes of the loss.
    """
    rng = np.random.default_rng(12)
    for (B, K), beta in (((4, 3), 0.0), ((4, 3), 1.0), ((1, 2), 0.6), ((5, 2), 2.5)):
        mu, eps, dz = rng.standard_normal((3, B, K))
        logvar = rng.uniform(-2, 1, (B, K))
        dz /= B
        parts = several(call(answer, mu, logvar, eps, dz, beta), 2, "the result")
        got = [array(part, (B, K), name) for part, name in zip(parts, ("the slope at mu", "the slope at logvar"))]
        right = [_slopes(mu, logvar, eps, dz, beta, at_mu) for at_mu in (True, False)]
        where = f"at B = {B}, K = {K}, beta = {beta:g}"
        if not close(got[0], right[0]) and close(got[0], right[1]) and close(got[1], right[0]):
            raise Wrong("the two slopes are in the wrong order")
        size = max(np.abs(dz).max(), beta)
        _name(got[0], right[0], *_ways_mu(mu, dz, beta, B, K), f"the slope at mu {where}", size)
        _name(got[1], right[1], *_ways_logvar(logvar, eps, dz, beta, B, K), f"the slope at logvar {where}", size)


def _slopes(mu, logvar, eps, dz, beta, at_mu):
    """Central differences of the loss whose reconstruction is linear in z, with slope dz."""

    def loss(mu, logvar):
        q = DiagonalGaussian(mu, logvar)
        return float((dz * q.sample(eps[None])[0]).sum() + beta * q.kl().mean())

    found, step = np.empty_like(mu), 1e-4
    for place in np.ndindex(mu.shape):
        nudge = np.zeros_like(mu)
        nudge[place] = step
        up, down = (loss(mu + s * nudge, logvar) if at_mu else loss(mu, logvar + s * nudge) for s in (1, -1))
        found[place] = (up - down) / (2 * step)
    return found


SAME = ""
SUMMED = "the KL is summed over the batch, where a mean is wanted"
OVER_K = "the KL is averaged over the latents, too, where a sum is wanted"
SIGN = "the KL has the wrong sign: the loss is made small, and the KL is a cost"
UNPAID = "the KL has no effect"
UNWEIGHTED = "beta has no effect"
AGAIN = "dz is divided by B once more: it is the slope of the mean already"


def _ways_mu(mu, dz, beta, B, K):
    """What comes of dz, and what of the KL: the right ones first, mistakes after them."""
    paths = ((dz, SAME), (dz / B, AGAIN), (0 * dz, "the reconstruction has no effect"))
    one = mu / B
    costs = (
        (beta * one, SAME),
        (beta * one * B, SUMMED),
        (beta * one / K, OVER_K),
        (-beta * one, SIGN),
        (one, UNWEIGHTED),
        (0 * one, UNPAID),
        (2 * beta * one, "the KL's share is twice what it should be: where is its half?"),
        (beta * one / 2, "the KL's share is half of what it should be: differentiate mu^2 / 2"),
    )
    return paths, costs


def _ways_logvar(logvar, eps, dz, beta, B, K):
    """The same for the slope at logvar."""
    sigma, wrong = np.exp(logvar / 2), np.exp(logvar)
    misread = "logvar is read as log sigma: a log-variance is twice that"
    paths = (
        (dz * eps * sigma / 2, SAME),
        (dz * eps * sigma, "the path through z is that of log sigma, not of log sigma^2: a half is missing"),
        (dz * eps, "the path through z is that of sigma, not of logvar: a factor is missing"),
        (dz * eps * wrong, misread),
        (dz * eps * wrong / 2, misread),
        (dz * sigma / 2, "eps is missing from the path through z"),
        (dz * eps * sigma / 2 / B, AGAIN),
        (0 * dz, "the noise's path through z is missing: logvar reaches the reconstruction, too"),
        (dz, "z does not move with logvar as it does with mu"),
    )
    one = (wrong - 1) / 2 / B
    costs = (
        (beta * one, SAME),
        (beta * one * B, SUMMED),
        (beta * one / K, OVER_K),
        (-beta * one, SIGN),
        (one, UNWEIGHTED),
        (0 * one, UNPAID),
        (2 * beta * one, "the KL's half is missing"),
        (beta * (sigma - 1 / sigma) / B, "the KL is differentiated with respect to sigma, not logvar"),
        (beta * (wrong**2 - 1) / B, misread),
        (beta * (wrong**2 - 1) / 2 / B, misread),
        (beta * wrong / 2 / B, "of the KL's slope at logvar a term is missing: see what belongs to log sigma^2"),
    )
    return paths, costs


def _name(got, right, paths, costs, where, size):
    """Raise Wrong unless got is right, naming the mistakes of which it is made if they are known."""
    if np.abs(got - right).max() <= 1e-5 * size:
        return
    for path, first in paths:
        for cost, second in costs:
            if np.abs(got - path - cost).max() <= 1e-5 * size and (first or second):
                said = " and ".join(dict.fromkeys(word for word in (first, second) if word))
                raise Wrong(f"{said} ({where})")
    raise Wrong(f"{where} is {off(got, right)}: compare it with finite differences of the loss, eps held fixed")


def best_ratio(answer):
    """Judge spread / noise of the best linear VAE on one pixel.

    Parameters
    ----------
    answer : callable
        (v, s) -> float.

    Raises
    ------
    Wrong
        Where the loss is less elsewhere.
    """
    first, second = (array(call(answer, v, s)) for v, s in ((1.3, 0.2), (3.1, 0.6)))
    if first == second:
        raise Wrong("the result is the same for every pixel: neither v nor s has an effect")
    for v, s in ((1.0, 0.2), (0.7, 0.1), (2.5, 0.9), (0.3, 0.5), (9.0, 1.7), (0.03, 0.2), (1.0, 1.5), (0.2, 0.9)):
        where, value = f"at v = {v:g}, s = {s:g}", call(answer, v, s)
        lost = v < s * s
        if isinstance(value, complex) or isinstance(value, float | np.floating) and lost and not np.isfinite(value):
            raise Wrong(f"no real number {where}: the formula holds only for a pixel that is worth its code")
        got, right = array(value), _least(v, s)
        if abs(got - right) <= 1e-5 * max(right, 1):
            continue
        if lost:
            raise Wrong(f"not the least loss {where}: compare with the loss of a VAE that says nothing of this pixel")
        for mistake, message in _ratio_mistakes(v, s, right):
            if close(got, mistake, 1e-6):
                raise Wrong(f"{message} ({where})")
        raise Wrong(f"{off(got, right)} {where}: draw the loss against the ratio, and look where it is least")


def _least(v, s):
    """The root of the loss's slope with respect to t = 1 + r^2 >= 1, by halving, as a ratio."""
    low, high = 1.0, 1.0 + 2 * v / s**2
    for _ in range(200):
        middle = (low + high) / 2
        falls = 1 / (2 * middle) < v / (2 * s**2 * middle**2)
        low, high = (middle, high) if falls else (low, middle)
    return math.sqrt(max(low - 1, 0.0)) if low - 1 > 1e-9 else 0.0


def _ratio_mistakes(v, s, right):
    return (
        (right**2, "that is the square of the ratio"),
        (1 + right**2, "that is 1 + r^2, not yet r"),
        (math.sqrt(1 + right**2), "that is the root of 1 + r^2, not r"),
        (_least(1.0, s), "v has no effect: the pixel's variance is not 1"),
        (_least(v, 1.0), "s has no effect"),
        (_least(v * v, s), "v is taken for a standard deviation"),
        (_least(v, math.sqrt(s)), "s is taken for a variance"),
        (_least(math.sqrt(v), s), "the root of v stands where v belongs"),
        (_least(v, s * math.sqrt(2)), "a factor of two: is the half missing in the KL?"),
        (_least(2 * v, s), "a factor of two: is the half missing in the reconstruction?"),
        (right / math.sqrt(v), "that is a / sigma, and the spread is that of a x"),
        (1 / right, "that is noise / spread"),
    )
