"""Hamiltonian Monte Carlo: moves that leave a density as it is, along its slope (Duane et al. 1987; Neal 2011)."""

from typing import NamedTuple

import numpy as np

__all__ = ["Place", "leapfrog", "move"]

JITTER = 0.5  # each trajectory's step is drawn from 1 +- this share of it: a fixed one may go round and come back


class Place(NamedTuple):
    """Chains' positions, and what some densities are there, so that a mixture of them is asked without a new pass.

    Attributes
    ----------
    z : array (S, B, K)
        S chains for each of B points.
    logs : tuple of array (S, B)
        The densities' logarithms, float64.
    slopes : tuple of array (S, B, K)
        Theirs in z.
    """

    z: np.ndarray
    logs: tuple
    slopes: tuple

    def log(self, powers):
        """log prod_i f_i(z)^powers_i, (S, B)."""
        return _sum(powers, self.logs)

    def slope(self, powers):
        """Its slope in z, (S, B, K)."""
        return _sum(powers, self.slopes)

    def where(self, taken, other):
        """Here where `taken` (S, B) is true, elsewhere the other Place."""
        each = taken[..., None]
        logs = tuple(np.where(taken, new, old) for new, old in zip(self.logs, other.logs))
        slopes = tuple(np.where(each, new, old) for new, old in zip(self.slopes, other.slopes))
        return Place(np.where(each, self.z, other.z), logs, slopes)


def _sum(powers, terms):
    return sum(power * term for power, term in zip(powers, terms) if power)


def leapfrog(look, place, momentum, powers, step, n_steps):
    """Newton's motion in the potential -log f, in n_steps steps: half a kick, drift, kick, drift, ..., half a kick.

        m <- m + step / 2 d log f / dz,  z <- z + step m,  m <- m + step / 2 d log f / dz

    Reversible: with the momentum turned round it leads back. It keeps volumes, and the energy m^2 / 2 - log f but for
    an error of the order step^2.

    Parameters
    ----------
    look : function
        z (S, B, K) -> Place.
    place : Place
        Where it starts.
    momentum : array (S, B, K)
    powers : tuple of float
        f = prod_i f_i^powers_i, of the densities that `look` tells.
    step : array (S, B, K)
        Step sizes; a latent's own says in which unit it is measured.
    n_steps : int
        Each costs one `look`.

    Returns
    -------
    Place
        Where it ends.
    array (S, B, K)
        The momentum there.
    """
    kick = step * place.slope(powers)
    for _ in range(n_steps):
        momentum = momentum + 0.5 * kick
        z = place.z + step * momentum
        place = look(np.where(np.isfinite(z), z, 0))  # what has run away is refused for its momentum
        kick = step * place.slope(powers)
        momentum = momentum + 0.5 * kick
    return place, momentum


def move(look, place, powers, step, n_steps, rng):
    """One transition of each chain that leaves f invariant and is its own reverse: a trajectory, taken or refused.

    The momentum is drawn anew, N(0, I); the end is taken with probability min(1, exp(-the change of energy)).

    Parameters
    ----------
    look, place, powers, n_steps
        As in `leapfrog`.
    step : array (B, K)
        As in `leapfrog`; each trajectory draws its own within half of it.
    rng : numpy.random.Generator

    Returns
    -------
    Place
        The chains' new positions.
    array (S, B)
        With what probability each end was to be taken.
    """
    dtype = place.z.dtype
    steps = (step * rng.uniform(1 - JITTER, 1 + JITTER, (*place.z.shape[:2], 1))).astype(dtype)  # S, B, K
    before = rng.standard_normal(place.z.shape, dtype)
    with np.errstate(all="ignore"):  # of a step far too long
        there, after = leapfrog(look, place, before, powers, steps, n_steps)
        gain = there.log(powers) - place.log(powers) - 0.5 * (_squares(after) - _squares(before))  # S, B
    gain = np.where(np.isfinite(gain), gain, -np.inf)
    taken = -rng.standard_exponential(gain.shape) < gain  # log of a uniform number
    return there.where(taken, place), np.exp(np.minimum(gain, 0))


def _squares(momentum):
    return np.square(momentum, dtype="float64").sum(axis=2)
