"""Which latents a model uses: those whose mean moves with the data."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import disk, team

__all__ = ["ActiveUnits", "active_units"]

POINTS = 1000  # data points that are encoded at once


class ActiveUnits(NamedTuple):
    """How much each latent's mean moves with the data, and how many move.

    Attributes
    ----------
    variances : array (K,)
        Var_x(E_q[z_k | x]), in units of a Gaussian prior's variance; of a bit at most 1/4, of a choice that of the way
        whose probability varies most.
    errors : array (K,)
        Their standard errors.
    count : int
        How many variances are above the threshold: the active units.
    unclear : int
        For how many units the interval of two standard errors around the variance holds the threshold.
    """

    variances: np.ndarray
    errors: np.ndarray
    count: int
    unclear: int


def active_units(vae, x, threshold=0.01):
    """The variance over the data of each latent's posterior mean, Var_x(E_q[z_k | x]), and how many are active.

    Parameters
    ----------
    vae : VAE
        The model, of any latents. Where a Gaussian prior is learnt, variances are divided by the prior's, so that a
        model whose latents are scaled has as many active units.
    x : array (n, D)
        The data, at least four points.
    threshold : float
        Above which a unit is active.

    Returns
    -------
    ActiveUnits

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.

    Notes
    -----
    It costs n encoder passes and no decoder pass. The standard error of a variance s^2 is that of independent points,
    from the fourth moment m: sqrt((m - s^4 (n - 3) / (n - 1)) / n).

    Source: Burda et al. 2016, section 5.2.
    """
    require_latents("active_units", vae)
    threshold = validate.number("threshold", threshold, least=0)
    x, means = vae.check_data(x), []
    if len(x) < 4:
        raise ValueError(f"x must hold at least four data points, for a variance and its error, got {len(x)}")
    with team.ready():
        for start in range(0, len(x), POINTS):
            means.append(np.asarray(vae.encode(x[start : start + POINTS]).mean, "float64"))
            disk.release(x)
    off = np.concatenate(means)  # n, K, or K W of choices
    off = (off - off.mean(axis=0)) * np.exp(-0.5 * np.asarray(getattr(vae.prior, "logvar", 0.0), "float64"))
    validate.check_finite("the encoder's means", off)
    n, variances = len(x), off.var(axis=0, ddof=1)
    spread = np.maximum(0, (off**4).mean(axis=0) - variances**2 * (n - 3) / (n - 1))
    errors = np.sqrt(spread / n)
    ways = variances.reshape(vae.n_latents, -1)
    most = np.arange(vae.n_latents), ways.argmax(axis=1)
    variances, errors = ways[most], errors.reshape(ways.shape)[most]
    count, unclear = (variances > threshold).sum(), (np.abs(variances - threshold) < 2 * errors).sum()
    return ActiveUnits(variances, errors, int(count), int(unclear))
