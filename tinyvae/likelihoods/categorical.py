"""A probability for each of a pixel's grey levels."""

import dataclasses
from typing import ClassVar

import numpy as np

from tinyvae import validate
from tinyvae.kernels import categorical as kernels
from tinyvae.likelihoods import support
from tinyvae.machine.disk import pieces

__all__ = ["Categorical", "GreyLevels"]

MOST = 65_536  # levels: of 16 bits
OFF = 0.01  # of the distance between two levels: what float32 leaves of the finest


@dataclasses.dataclass(frozen=True)
class Categorical:
    """Pixels that take one of L grey levels, x = k / (L - 1), each with a probability of its own.

        p(x) = prod_d softmax(o_d)_k,  k = (L - 1) x_d,  with L numbers o_d from the decoder for each pixel

    It knows no order among the levels, and no density that runs away: -log p is at least 0. A probability of a level
    and a density of a grey value are not to be compared.

    Called on the decoder's outputs (n, D * L), a pixel's L side by side, it gives a `GreyLevels`.

    Parameters
    ----------
    levels : int
        L, from 2: 17 for the bundled digits, whose pixels are 0, 1/16, ..., 1; 256 for pixels of 8 bits.

    Attributes
    ----------
    levels : int
        As given.
    name : str
        "categorical".
    is_density : bool
        True: its data are nothing but levels, and it weighs them with probabilities.
    loss : function
        (outputs, x, losses): -log p(x | outputs), nats, written into losses.
    loss_and_slope : function
        (outputs, x, losses): the same, and the outputs become dloss/doutputs.

    Raises
    ------
    ValueError, TypeError
        If levels is no integer from 2 to 65,536.
    """

    levels: int = 17

    name: ClassVar = "categorical"
    is_density: ClassVar = True
    loss: ClassVar = staticmethod(kernels.categorical_loss)
    loss_and_slope: ClassVar = staticmethod(kernels.categorical_loss_and_slope)

    def __post_init__(self):
        levels = validate.integer("levels", self.levels, least=2)
        if levels > MOST:
            raise ValueError(f"levels must be at most {MOST:,}, got {levels:,}; take the likelihood 'gaussian'")
        object.__setattr__(self, "levels", levels)

    @property
    def outputs(self):
        """How many numbers a pixel takes from the decoder: one for each level."""
        return self.levels

    def parameters(self, n_features):
        """Those of its own, for n_features = D pixels: none, an empty dict."""
        return {}

    def check(self, name, x, n_features):
        """x (n, n_features) itself if its values are levels, bits included.

        Raises
        ------
        ValueError or TypeError
            If they are not, naming the number of levels that they have, or the likelihoods that fit.
        """
        x = support.unit_interval(name, x, n_features)
        if x.dtype.kind == "f" and not _lies_on(x, self.levels):
            where = _first_off(x, self.levels)
            found = next((n for n in (*range(2, 257), MOST) if _lies_on(x, n, off=1e-6 * n)), None)
            fits = f"levels={found} fits" if found else "'continuous_bernoulli' and 'gaussian' take any grey"
            raise ValueError(
                f"{name} must hold the {self.levels} grey levels 0, 1/{self.levels - 1}, ..., 1 of the likelihood "
                f"'categorical', got {x[where]:g} at index {where}; {fits}"
            )
        return x

    def start(self, x):
        """The outputs (D * L,) of the levels' frequencies in x (n, D), each counted once more: where to start."""
        k = np.rint(x.astype("float64") * (self.levels - 1))  # n, D
        counts = np.stack([(k == level).sum(axis=0) for level in range(self.levels)], axis=1) + 1  # D, L
        return np.log(counts / counts.sum(axis=1, keepdims=True)).ravel()

    def __call__(self, outputs):
        """What it says of pixels, a `GreyLevels`, for outputs (n, D * L)."""
        outputs = validate.array("outputs", outputs, ("n", "D times the levels"))
        return GreyLevels(outputs.reshape(len(outputs), -1, self.levels), self)


class GreyLevels:
    """What `Categorical` says of some pixels.

    Parameters
    ----------
    logits : array (n, D, L)
        Of the levels.
    likelihood : Categorical
        Which says what data fit.

    Attributes
    ----------
    logits : array (n, D, L)
        As given.
    """

    def __init__(self, logits, likelihood):
        self.logits, self._likelihood = logits, likelihood

    @property
    def probabilities(self):
        """Of each level, (n, D, L)."""
        return kernels.softmax_numpy(self.logits)

    @property
    def mean(self):
        """sum_k p_k k / (L - 1), (n, D)."""
        n_levels = self.logits.shape[2]
        return self.probabilities @ (np.arange(n_levels) / (n_levels - 1)).astype(self.logits.dtype)

    def log_prob(self, x):
        """log p(x), nats, of the levels x (n, D) -> (n,). Raises ValueError or TypeError for what is none."""
        n, n_features, _ = self.logits.shape
        x = self._likelihood.check("x", x, n_features).astype(self.logits.dtype)
        validate.check_shape("x", x, (n, n_features))
        losses = np.empty(n, self.logits.dtype)
        self._likelihood.loss(self.logits.reshape(n, -1), x, losses)
        return -losses

    def sample(self, rng):
        """Levels, (n, D), one draw each, by the inverse of the distribution function at uniform numbers.

        rng: a numpy Generator. Raises TypeError for anything else.
        """
        uniform = validate.generator("rng", rng).random(self.logits.shape[:2])
        n_levels = self.logits.shape[2]
        below = np.cumsum(self.probabilities[..., :-1], axis=2, dtype="float64") <= uniform[..., None]
        return (below.sum(axis=2) / (n_levels - 1)).astype(self.logits.dtype)


def _lies_on(x, n_levels, off=OFF):
    return all((_distance(piece, n_levels) <= off).all() for piece in pieces(x))


def _first_off(x, n_levels):
    """The index of the first value that is no level."""
    start = 0
    for piece in pieces(x):
        if len(off := np.argwhere(_distance(piece, n_levels) > OFF)):
            return start + int(off[0][0]), int(off[0][1])
        start += len(piece)
    return None


def _distance(x, n_levels):
    """From the nearest level, in units of what lies between two."""
    k = x * (n_levels - 1)
    return np.abs(k - np.rint(k))
