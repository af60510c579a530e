"""Whether a latent space is continuous and complete: what small steps in it do, and what its draws decode to.

Both are numbers without a unit, near 1 at best, which do not change where the codes are mixed, stretched or moved by an
affine map that the decoder undoes. So an autoencoder, whose codes lie where they like, stands fairly beside a VAE: a
Gaussian of its codes' mean and covariance takes the prior's place (its latent space is *whitened*).
"""

import numpy as np
import scipy

from tinyvae import validate
from tinyvae.evaluate.estimate import Estimate
from tinyvae.evaluate.neighbours import nearest
from tinyvae.machine import disk, team, workers

__all__ = ["codes", "continuity", "completeness"]

ROWS = 500  # decoder rows of a kind that are held at once, a worker


def codes(model, x):
    """The code of each data point, as numbers: the mean of q(z | x), or what an autoencoder's encoder says.

    Of two layers it is the lower one's mean; of a VQ-VAE the vectors that the codebook has for the codes.

    Parameters
    ----------
    model : VAE, Autoencoder, TwoLayerVAE or VQVAE
        The model.
    x : array (n, D)
        The data.

    Returns
    -------
    array (n, K)
        In the model's dtype: what its decoder takes.

    Raises
    ------
    ValueError or TypeError
        For data that do not fit the model.
    """
    x, found = model.check_data(x), []
    for start in range(0, len(x), ROWS):
        said = model.encode(x[start : start + ROWS])
        said = getattr(said, "lower", said)  # of two layers
        if hasattr(model, "codebook"):
            said = model.codebook[said].reshape(len(said), -1)
        found.append(np.array(said if isinstance(said, np.ndarray) else said.mean))
        disk.release(x)
    return np.concatenate(found)


def continuity(model, rng, codes=None, n_draws=2000, step=0.1):
    """How smoothly images follow their codes: 1 for a decoder that is affine, towards 0 for one of cliffs.

        (1 - r) E |g(z) - g(z')|^2 / E |g(z) - g(z'')|^2,   z'' = r z + sqrt(1 - r^2) eps,   r = 1 - step^2 / 2

    g(z) is the decoded image, the mean of p(x | z). z and z' are two draws; z'' is a draw, too, but a short step away
    from z: `step` standard deviations in each direction, as a root mean square. So it compares how much images differ
    that lie anywhere with how much those that lie close together do. In Hermite polynomials, those of degree k have
    weight 1 - r^k in the lower mean and 1 in the upper one, which is why the number lies between 1 - r and 1, and is 1
    only where all have degree 1. For small steps it is the variance of g over the mean of its squared slope, the two
    sides of the Gaussian Poincare inequality. A latent that the decoder ignores changes nothing.

    Parameters
    ----------
    model : VAE or Autoencoder
        The model, its codes real numbers.
    rng : numpy.random.Generator
        Of the draws.
    codes : array (n, K), optional
        Such as `tv.evaluate.codes(model, x)`: z are draws from a Gaussian of their mean and covariance. If not given,
        they are draws from the model's prior, which an autoencoder has not.
    n_draws : int
        Triples (z, z', z''), at least 2; three times as many decoder passes.
    step : float
        In (0, 1], standard deviations.

    Returns
    -------
    Estimate
        Its error is that of the draws; model and codes are held. NaN where the decoder says the same everywhere.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, and for a model of bits, choices or a codebook; without codes, for a model without
        a prior, or with one that has no `quantile`.
    """
    if _is_discrete(model):
        raise TypeError(
            f"continuity is of small steps from code to code, and the codes of this tv.{type(model).__name__} have "
            "nothing between them: take tv.evaluate.completeness, which is of draws alone"
        )
    place = _place(model, codes)
    n_draws, step = validate.integer("n_draws", n_draws, least=2), validate.number("step", step, 0, 1, True)
    first, other, eps = validate.generator("rng", rng).standard_normal((3, n_draws, model.n_latents))
    r = 1 - step**2 / 2
    near = r * first + np.sqrt(1 - r**2) * eps

    def squares(rows):
        image, far, close = (_image(model, place(w[rows])) for w in (first, other, near))
        return ((image - far) ** 2).sum(axis=1), ((image - close) ** 2).sum(axis=1)

    with team.ready():
        apart, beside = map(np.concatenate, zip(*workers.run(squares, _rows(n_draws))))
    return _ratio((1 - r) * apart, beside, paired=True)


def completeness(model, x, x_test, rng, codes=None, n_draws=2000):
    """How near to data the images come out that draws decode to: 1 where they are as near as held-out data are.

        E |x_test - nearest of x|^2 / E |g(z) - nearest of x|^2

    g(z) is the decoded image, the mean of p(x | z), of a draw z. Near 0: most draws are no data at all. Above 1: they
    are copies of x, or nothing but averages of it where those lie near. It does not ask whether all kinds of data are
    drawn; `active_units` and the KL tell whether z says anything.

    Parameters
    ----------
    model : VAE, Autoencoder, TwoLayerVAE or VQVAE
        The model; of bits, choices or a codebook, draws are the model's own, `model.sample`.
    x : array (n, D)
        The training data.
    x_test : array (m, D)
        Held-out data, at least two rows.
    rng : numpy.random.Generator
        Of the draws.
    codes : array (n, K), optional
        As in `continuity`; not of bits, choices or a codebook.
    n_draws : int
        Of z, at least 2, a decoder pass each.

    Returns
    -------
    Estimate
        Its error is that of the draws and of the held-out data; the training data, the model and the codes are held.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, as in `continuity`.
    """
    place = None if _is_discrete(model) else _place(model, codes)
    if place is None and codes is not None:
        raise ValueError("codes stand in for a prior over real numbers, of which this model's codes are not: leave out")
    x, x_test = model.check_data(x), model.check_data(x_test, "x_test")
    if len(x_test) < 2:
        raise ValueError("x_test must hold at least two rows, to tell an error, got one")
    n_draws = validate.integer("n_draws", n_draws, least=2)
    validate.generator("rng", rng)
    z = rng.standard_normal((n_draws, model.n_latents)) if place else model.sample(n_draws, rng)

    def square(images):
        return nearest(images, x)[1][:, 0] ** 2

    def square_drawn(rows):
        return square(_image(model, place(z[rows])) if place else z[rows])

    with team.ready():
        held_out = np.concatenate(list(workers.run(lambda rows: square(x_test[rows]), _rows(len(x_test)))))
        drawn = np.concatenate(list(workers.run(square_drawn, _rows(n_draws))))
    return _ratio(held_out, drawn)


def _is_discrete(model):
    """Whether a model's codes have nothing between them."""
    return getattr(model, "n_states", np.inf) < np.inf


def _rows(n):
    return [slice(start, start + ROWS) for start in range(0, n, ROWS)]


def _image(model, z):
    """The mean of p(x | z), float64."""
    return np.asarray(model.decode(np.ascontiguousarray(z, model.dtype)).mean, "float64")


def _place(model, codes):
    """The map that takes draws from N(0, I) to draws of z: w (n, K) -> z (n, K)."""
    if codes is not None:
        codes = validate.real("codes", codes)
        validate.check_shape("codes", codes, ("n", model.n_latents))
        validate.check_finite("codes", codes)
        if len(codes) < 2:
            raise ValueError("codes must hold at least two rows, for a covariance, got one")
        codes = codes.astype("float64")
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(codes.T)))  # a code that never changes is let pass
        root = vectors * np.sqrt(np.maximum(values, 0))
        return lambda w: codes.mean(axis=0) + w @ root.T
    if model.prior is None:
        raise ValueError(
            f"a tv.{type(model).__name__} has no prior to draw from: give codes=tv.evaluate.codes(model, x), whose "
            "mean and covariance take its place"
        )
    if not hasattr(model.prior, "quantile"):
        raise TypeError(
            f"the prior {model.prior.name!r} has no quantile(u), the inverse of its distribution function: give it one"
        )
    return lambda w: model.prior.quantile(scipy.special.ndtr(w))


def _ratio(above, below, paired=False):
    """mean(above) / mean(below), with its standard error by the delta method; `paired`: draw by draw, not apart.

    NaN where both means are 0, infinity where only below's is.
    """
    above, below = np.asarray(above, "float64"), np.asarray(below, "float64")
    tops, bottoms = above.mean(), below.mean()
    if not bottoms or not tops:
        value = np.nan if not bottoms and not tops else np.inf if not bottoms else 0.0
        return Estimate(float(value), float("nan"))
    if paired:
        square = (above / tops - below / bottoms).var(ddof=1) / len(above)
    else:
        square = (above / tops).var(ddof=1) / len(above) + (below / bottoms).var(ddof=1) / len(below)
    value = float(tops / bottoms)
    return Estimate(value, float(value * np.sqrt(square)))
