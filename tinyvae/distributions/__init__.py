"""What q, the distribution over latents, may be, and the prior that it is compared with.

A distribution is a class like `gaussian.DiagonalGaussian`: the methods there are the contract. One that is added as a
room of this folder, with a `name`, is known to `tv.VAE(latents=name)`.
"""

import sys

from tinyvae import discover, validate
from tinyvae.distributions.gaussian import DiagonalGaussian
from tinyvae.distributions.prior import Prior, StandardNormal

__all__ = ["DiagonalGaussian", "Prior", "StandardNormal", "LATENTS", "resolve"]

LATENTS = {one.name: one for one in discover.shown_in(sys.modules[__name__]) if hasattr(one, "from_params")}


def resolve(latents):
    """A class of distributions: `latents` itself, or the one that it names.

    Parameters
    ----------
    latents : str or class
        One of `LATENTS`, or what has `from_params`.

    Returns
    -------
    class

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(latents, type) and hasattr(latents, "from_params"):
        return latents
    return LATENTS[validate.choice("latents", latents, LATENTS)]
