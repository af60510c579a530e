"""What a decoder says of a pixel. Each file of this folder holds a likelihood, known by its name.

    name                    data                            says of a pixel
    bernoulli               bits; of grey levels it is      black or white, with a probability
                            a cross-entropy, no density
    continuous_bernoulli    [0, 1]                          the density that the cross-entropy lacks
    gaussian                all real numbers                a mean, and a variance: fixed, learnt, or put out
    categorical             L grey levels                   a probability for each level
    squared_error           all real numbers                a mean; a loss without a density

`Gaussian` and `Categorical` have options: `Gaussian(variance=0.1)`, `Categorical(levels=17)`. An option's default is
what the name alone stands for.

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

A `loss_and_slope` that is a compiled loop runs inside of the decoder's pass. Where the loop needs numbers beside the
outputs (of options, of parameters), a likelihood that takes no bits has, too,

    loop_and_numbers(n_features, dtype, **parameters)   a loop (outputs, x, losses, numbers), and its numbers, a vector

One that asks to be refused where a density is needed has `refuse(what)`, see `require_density`; one with options is a
dataclass of them (numbers and words), from which a saved model makes it again.
"""

import dataclasses
import sys

import numpy as np

from tinyvae import discover, validate
from tinyvae.kernels.data import only_bits
from tinyvae.likelihoods.bernoulli import Bernoulli
from tinyvae.likelihoods.categorical import Categorical
from tinyvae.likelihoods.continuous_bernoulli import ContinuousBernoulli
from tinyvae.likelihoods.gaussian import Gaussian
from tinyvae.likelihoods.squared_error import SquaredError
from tinyvae.machine.disk import is_large, pieces

__all__ = [
    "Bernoulli", "Categorical", "ContinuousBernoulli", "Gaussian", "SquaredError",
    "LIKELIHOODS", "names", "resolve", "config_of", "takes_bits", "require_density", "term", "checked",
]  # fmt: skip

NEEDED = ("name", "outputs", "is_density", "check", "parameters", "loss", "loss_and_slope")
LIKELIHOODS = discover.by_name(
    sys.modules[__name__],
    lambda one: hasattr(one, "loss_and_slope"),
    lambda likelihood: likelihood.name,
    first=("bernoulli", "continuous_bernoulli", "gaussian", "categorical", "squared_error"),
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
    likelihood : str, an object such as `Bernoulli` or `Gaussian(variance=0.1)`, or a dict
        One of `names()`; what has all that the module's docstring tells of; or what `config_of` gave.

    Returns
    -------
    object
        The likelihood.

    Raises
    ------
    ValueError
        For an unknown name, or an object that has the name of another.
    TypeError
        For an object that lacks a part, naming what is missing, or options that do not fit.
    """
    options = {}
    if isinstance(likelihood, dict):
        options = {name: value for name, value in likelihood.items() if name != "name"}
        likelihood = likelihood.get("name")
    if isinstance(likelihood, str) or options:
        known = LIKELIHOODS[validate.choice("likelihood", likelihood, names())]
        _check_options(known, options)
        return known(**options) if dataclasses.is_dataclass(known) else known
    if isinstance(likelihood, type) and dataclasses.is_dataclass(likelihood):
        likelihood = likelihood()
    missing = [name for name in NEEDED if not hasattr(likelihood, name)]
    missing += ["__call__"] * (not callable(likelihood))
    if not missing and likelihood.parameters(1) and not hasattr(likelihood, "own_gradients"):
        missing = ["own_gradients"]
    if missing:
        raise TypeError(
            f"likelihood must be a name or a likelihood such as tv.Bernoulli, got {likelihood!r}, "
            f"which lacks {', '.join(missing)}"
        )
    known = type(likelihood) if dataclasses.is_dataclass(likelihood) else likelihood
    discover.require_own_name("likelihood", likelihood.name, known, LIKELIHOODS)
    return likelihood


def _check_options(known, options):
    """Raise TypeError unless the likelihood has options of these names."""
    there = [field.name for field in dataclasses.fields(known)] if dataclasses.is_dataclass(known) else []
    for name in options:
        if name not in there:
            has = f"has the options {', '.join(there)}" if there else "has no options"
            raise TypeError(f"the likelihood {known.name!r} {has}, got {name!r}")


def config_of(likelihood):
    """What `resolve` makes a likelihood from, and a saved model holds.

    Parameters
    ----------
    likelihood : a likelihood

    Returns
    -------
    str or dict
        Its name; where it has options that are not their defaults, {"name": ..., option: value, ...}.
    """
    if not dataclasses.is_dataclass(likelihood):
        return likelihood.name
    fields = {field.name: field.default for field in dataclasses.fields(likelihood)}
    options = {name: getattr(likelihood, name) for name in fields}
    return {"name": likelihood.name, **options} if options != fields else likelihood.name


def require_density(likelihood, what):
    """Raise unless a likelihood says how probable data are.

    Parameters
    ----------
    likelihood : a likelihood
        Refused if it has a method `refuse`, which raises.
    what : str
        What asks for a density, for the message.

    Raises
    ------
    ValueError
        Of "squared_error".
    """
    if hasattr(likelihood, "refuse"):
        likelihood.refuse(what)


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


def term(x, likelihood):
    """What the reconstruction term of data is, in words.

    Parameters
    ----------
    x : array (n, D)
        The pixels.
    likelihood : Bernoulli or another likelihood, or None
        The model's; None of a model of codes, which are no pixels.

    Returns
    -------
    str
        "reconstruction", a -log p(x | z); "cross-entropy", of grey pixels where the likelihood is of black and white;
        or "squared error".
    """
    if likelihood is SquaredError:
        return "squared error"
    if likelihood is None or x.dtype.kind != "f" or likelihood.is_density:
        return "reconstruction"
    grey = any(np.any((piece > 0) & (piece < 1)) for piece in pieces(x))
    return "cross-entropy" if grey else "reconstruction"


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
        the likelihood takes bits; all else is of `dtype`, but what lies in a file and is large stays there as it is,
        to be converted a minibatch at a time.

    Raises
    ------
    ValueError or TypeError
        For what does not fit.
    """
    x = np.ascontiguousarray(validate.real(name, likelihood.check(name, x, n_features)))
    validate.check_shape(name, x, ("n", n_features))
    if not len(x):
        raise ValueError(f"{name} must hold at least one row, got shape {x.shape}")
    if x.dtype in (bool, np.uint8) and takes_bits(likelihood) and all(map(only_bits, pieces(x.ravel()))):
        return x.view("uint8")
    x = x if x.dtype in validate.FLOATS or is_large(x) else x.astype(dtype)
    validate.check_finite(name, x)
    return x
