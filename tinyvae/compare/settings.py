"""What a comparison is told, and which estimators stand side by side unless it is told others."""

from dataclasses import dataclass

from tinyvae import distributions, estimators, validate

__all__ = ["Settings", "OBJECTIVES", "default_estimators"]

OBJECTIVES = ("elbo", "importance_weighted")
# Of bits and choices: the best without df/dz, its neighbour of independent samples, two that take df/dz, one of them
# biased, and where it all begins. The first trains the model that all are measured at.
DISCRETE = {"elbo": ("disarm", "leave_one_out", "rebar", "gumbel_softmax", "score_function"), OBJECTIVES[1]: ("vimco",)}


@dataclass(frozen=True)
class Settings:
    """What `run` does.

    Attributes
    ----------
    estimators : tuple of str
        Their names.
    hidden, n_latents : tuple of int, int
        Those of VAE.
    epochs, batch_size : int
        Those of train.
    rate : float
        Adam's step size, in units of the parameters.
    n_samples : int
        Samples a data point.
    beta, kl : float, str
        Those of ELBO.
    objective : str
        One of OBJECTIVES.
    noise : str
        That of train.
    points : int
        How often the variances are measured, start and end included.
    n_draws : int
        Replicates in each measurement.
    data : str
        The name of a dataset, or a file or folder.
    likelihood : str, dict or a likelihood
        That of VAE. Where it is of black and white pixels, the data are binarized, else they stay grey.
    seed : int
        Of the binarization, the weights, the minibatches and all noise.
    latents, prior : str or object, str, Prior or None
        Those of VAE.
    """

    estimators: tuple = ("reparameterization", "score_function", "leave_one_out")
    hidden: tuple = (128,)
    n_latents: int = 2
    epochs: int = 60
    batch_size: int = 100
    rate: float = 3e-3
    n_samples: int = 2
    beta: float = 1.0
    kl: str = "analytic"
    objective: str = "elbo"
    noise: str = "independent"
    points: int = 7
    n_draws: int = 300
    data: str = "digits"
    likelihood: object = "bernoulli"
    seed: int = 0
    latents: object = "gaussian"
    prior: object = None

    @property
    def one(self):
        """What a row of the data is called."""
        return "digit" if self.data == "digits" else "row"


def default_estimators(objective="elbo", latents="gaussian"):
    """The estimators that are set side by side where none are named.

    Parameters
    ----------
    objective : str
        One of OBJECTIVES.
    latents : str or a class of distributions
        What q is.

    Returns
    -------
    tuple of str
        Their names. The first trains the model that all are measured at.

    Raises
    ------
    ValueError or TypeError
        For what names no objective or no latents.
    """
    validate.choice("objective", objective, OBJECTIVES)
    if distributions.resolve(latents).name in ("binary", "categorical"):
        return DISCRETE[objective]
    return Settings().estimators if objective == "elbo" else tuple(estimators.names("bound"))
