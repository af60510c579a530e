"""What a decoder says of a pixel. Each file of this folder holds a likelihood, known by its name.

A likelihood is an object (a class such as `Bernoulli` is one, too) with

    name                what it is called
    outputs             how many numbers a pixel takes from the decoder
    is_density          whether `loss` is minus the logarithm of a density for all data that `check` lets pass; where
                        it is not, what is printed of grey pixels is called a cross-entropy
    takes_bits          True if data may come as uint8 holding 0 and 1; where it is missing, they never do
    check(name, x, n_features)      returns x if it lies in the support, else raises an error that says what would
    parameters(n_features)          {name: initial array} of what it learns itself; in theta they are "likelihood.NAME"
    loss(outputs, x, losses)        writes -log p(x | outputs), nats, into losses (S * B,)
    loss_and_slope(outputs, x, losses)      does so, too, and turns outputs into dloss/doutputs, in place
    own_gradients(outputs, x, weights)      {name: d sum_r weights_r loss_r / d name}; only if it has parameters
    start(x)            the outputs (outputs * D,) that give each pixel its mean over x (n, D), for `vae.start_at(x)`;
                        what lacks it cannot be started there
    __call__(outputs)   a distribution of pixels: `mean` (n, D), `log_prob(x)` (n,), `sample(rng)` (n, D)

outputs are (S * B, outputs * D), the B rows of the first sample first. x is (B, D) and stands for each of S samples,
but in `own_gradients`, where it is repeated already, (S * B, D). It has the model's dtype, whatever type `check` lets
pass; only where the likelihood `takes_bits`, what holds nothing but 0 and 1 comes as uint8, of which -x is 255. A
likelihood with parameters takes their present values by name in the last four. Whether a new one's slope is right,
`tv.check.gradients` tells on a small model: tests/test_contracts.py has one.
"""

import sys

import numpy as np

from tinyvae import discover, validate
from tinyvae.kernels.data import only_bits
from tinyvae.likelihoods.bernoulli import Bernoulli

__all__ = ["Bernoulli", "LIKELIHOODS", "names", "resolve", "takes_bits", "checked"]

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
        For an unknown name, or an object that has the name of another.
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
    discover.require_own_name("likelihood", likelihood.name, likelihood, LIKELIHOODS)
    return likelihood


def takes_bits(likelihood):
    """Whether what holds nothing but 0 and 1 may come to it as uint8.

    Parameters
    ----------
    likelihood : a likelihood

    Returns
    -------
    bool
    """
    return getattr(likelihood, "takes_bits", False)


def checked(likelihood, name, x, n_features, dtype):
    """Data as a model takes them, and its likelihood: floats, or bits as uint8 if it takes those.

    Parameters
    ----------
    likelihood : a likelihood
        Whose `check` is asked first.
    name : str
        What the data are called in a message.
    x : array (n, n_features)
        At least one row of finite real numbers of any type.
    n_features : int
    dtype : numpy.dtype
        The model's.

    Returns
    -------
    array (n, n_features)
        C-contiguous. float32 and float64 stay what they are; of bool and uint8, what holds only 0 and 1 is uint8 if
        the likelihood takes bits; all else is of `dtype`.

    Raises
    ------
    ValueError or TypeError
        For what does not fit.
    """
    x = np.ascontiguousarray(validate.real(name, likelihood.check(name, x, n_features)))
    validate.check_shape(name, x, ("n", n_features))
    if not len(x):
        raise ValueError(f"{name} must hold at least one row, got shape {x.shape}")
    if x.dtype in (bool, np.uint8) and takes_bits(likelihood) and only_bits(x.ravel()):
        return x.view("uint8")
    x = x if x.dtype in validate.FLOATS else x.astype(dtype)
    validate.check_finite(name, x)
    return x
