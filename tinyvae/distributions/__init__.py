"""What q, the distribution over latents, may be, and the priors that it is compared with.

`contract.py` says what a distribution answers, `prior.py` what a prior does. A class that is shown by a file of this
folder is known by its `name`: to `tv.VAE(latents=name)`, and a prior to `tv.VAE(prior=name)`.
"""

import sys

from tinyvae import discover, validate
from tinyvae.distributions.binary import Binary
from tinyvae.distributions.categorical import Categorical, OneHot
from tinyvae.distributions.contract import NEEDED, Distribution, require_fit
from tinyvae.distributions.discrete_prior import Bits, Categories, LearntBits, LearntCategories
from tinyvae.distributions.full_gaussian import FullGaussian
from tinyvae.distributions.gaussian import DiagonalGaussian
from tinyvae.distributions.prior import LearntNormal, Prior, StandardNormal, check_prior

__all__ = [
    "DiagonalGaussian",
    "FullGaussian",
    "Binary",
    "Categorical",
    "OneHot",
    "Distribution",
    "Prior",
    "StandardNormal",
    "LearntNormal",
    "Bits",
    "LearntBits",
    "Categories",
    "LearntCategories",
    "LATENTS",
    "PRIORS",
    "resolve",
    "config_of",
    "resolve_prior",
]

LATENTS = discover.by_name(
    sys.modules[__name__],
    lambda one: hasattr(one, "n_params") and one is not OneHot,
    lambda one: one.name,
    ("gaussian", "full_gaussian", "binary", "categorical"),
)
PRIORS = discover.by_name(
    sys.modules[__name__],
    lambda one: isinstance(one, type) and issubclass(one, Prior) and one is not Prior,
    lambda one: one.name,
)


def resolve(latents):
    """A class of distributions: `latents` itself, or the one that it names.

    Parameters
    ----------
    latents : str, dict or class
        One of `LATENTS`, a class that answers what `contract.py` tells of (or an object that makes its distributions,
        such as `OneHot`), or what `config_of` gave.

    Returns
    -------
    class

    Raises
    ------
    ValueError
        For an unknown name, or a class that has the name of another.
    TypeError
        For a class that lacks an answer, naming what is missing, and for anything else.
    """
    if isinstance(latents, str):
        return LATENTS[validate.choice("latents", latents, LATENTS)]
    if isinstance(latents, dict):
        options = dict(latents)
        return type(resolve(options.pop("name")))(**options)
    if isinstance(latents, OneHot):
        return latents
    missing = [name for name in NEEDED if not hasattr(latents, name)]
    if missing or not isinstance(latents, type):
        lacks = f", which lacks {', '.join(missing)}" * bool(missing)
        raise TypeError(f"latents must be a name or a class such as tv.DiagonalGaussian, got {latents!r}{lacks}")
    discover.require_own_name("latents", latents.name, latents, LATENTS)
    return latents


def config_of(latents):
    """What a file keeps of a class of distributions: its name, or a dict where there is more to it.

    Parameters
    ----------
    latents : class
        What `resolve` returned.

    Returns
    -------
    str or dict
    """
    return getattr(latents, "config", latents.name)


def resolve_prior(prior, family, n_latents):
    """A prior for a class of distributions, which it fits.

    Parameters
    ----------
    prior : Prior, str or None
        The prior itself, one of `PRIORS`, or None for the class's own.
    family : class
        What q is.
    n_latents : int
        K, which a prior with numbers for each latent must have.

    Returns
    -------
    Prior

    Raises
    ------
    ValueError
        For an unknown name, or a prior that has the name of another.
    TypeError
        For what is no prior, or does not fit the class.
    """
    if isinstance(prior, str):
        prior = PRIORS[validate.choice("prior", prior, PRIORS)].of(family)
    prior = check_prior(family.prior if prior is None else prior)
    discover.require_own_name("prior", prior.name, type(prior), PRIORS)
    return require_fit(prior, family, n_latents)
