"""What a decoder says of a pixel. A room of this folder is a likelihood, known by its name.

A likelihood is an object (`Bernoulli` is a class, which will do) that says what it is:

    name, outputs       how it is called; how many numbers a pixel takes from the decoder
    is_density          whether `loss` is minus the logarithm of a density of whatever `check` lets pass; where it is
                        not, what is printed of grey pixels is called a cross-entropy
    check(name, x, n_features)      x itself if it lies in the support, or an error that tells what does
    parameters(n_features)          {name: initial array} that it learns itself; they live in theta, under "likelihood."
    loss(outputs, x, losses)        -log p(x | outputs), nats, written into losses (S * B,)
    loss_and_slope(outputs, x, losses)      the same, and outputs (S * B, outputs * D) become dloss/doutputs
    own_gradients(outputs, x, weights)      {name: d sum_r weights_r loss_r / d name}, if it has parameters; here x is
                        repeated already, (S * B, D)

x is (B, D) and stands for each of S samples, in the model's dtype or, where it holds nothing but 0 and 1, as uint8,
which training makes of such floats whatever `check` takes. The last three take the present values of its own parameters
by name besides. Called on a decoder's outputs (n, outputs * D), and those, it gives a distribution of pixels, with
`mean` (n, D), `log_prob(x)` (n,) and `sample(rng)` (n, D).
"""

import sys

from tinyvae import discover, validate
from tinyvae.likelihoods.bernoulli import Bernoulli

__all__ = ["Bernoulli", "LIKELIHOODS", "names", "resolve"]

NEEDED = ("name", "outputs", "is_density", "check", "parameters", "loss", "loss_and_slope")
LIKELIHOODS = discover.by_name(
    sys.modules[__name__], lambda one: hasattr(one, "loss_and_slope"), lambda likelihood: likelihood.name
)


def names():
    """The likelihoods' names.

    Returns
    -------
    list of str
    """
    return list(LIKELIHOODS)


def resolve(likelihood):
    """A likelihood: `likelihood` itself, or the one that it names.

    Parameters
    ----------
    likelihood : str, or an object such as `Bernoulli`
        One of `names()`, or what has all that the module's docstring tells of.

    Returns
    -------
    object
        The likelihood.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For an object that lacks a part, naming what is missing.
    """
    if isinstance(likelihood, str):
        return LIKELIHOODS[validate.choice("likelihood", likelihood, names())]
    missing = [name for name in NEEDED if not hasattr(likelihood, name)]
    missing += ["__call__"] * (not callable(likelihood))
    if not missing and likelihood.parameters(1) and not hasattr(likelihood, "own_gradients"):
        missing = ["own_gradients"]
    if missing:
        raise TypeError(
            f"likelihood must be a name or a likelihood such as tv.Bernoulli, got {likelihood!r}, "
            f"which lacks {', '.join(missing)}"
        )
    return likelihood
