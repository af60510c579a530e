"""Priors over the codes of a `VQVAE`: one categorical for each position, and an autoregressive network."""

import json

import numpy as np
import scipy

from tinyvae import validate
from tinyvae.evaluate import Bound
from tinyvae.mlp import MLP
from tinyvae.models.quantization import use
from tinyvae.models.reconstruction import finite
from tinyvae.models.step import Step

__all__ = ["PositionPrior", "AutoregressivePrior", "CODES_PRIORS", "checked_codes", "masks", "prior_arrays", "prior_in"]

ROWS = 1000  # of codes that go through the net at once


def checked_codes(name, codes, n_positions, n_codes):
    """Codes as int64: which of n_codes stands at each position.

    Parameters
    ----------
    name : str
        What they are called in a message.
    codes : array (n, n_positions)
        Whole numbers from 0 to n_codes - 1, of an integer or a float type.
    n_positions, n_codes : int

    Returns
    -------
    array (n, n_positions)

    Raises
    ------
    ValueError or TypeError
        If they are not.
    """
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be whole numbers from 0 to {n_codes - 1}, as `encode` gives, got {codes.dtype}")
    validate.check_shape(name, codes, ("n", n_positions))
    found = codes.astype("int64") if codes.dtype.kind != "f" or np.isfinite(codes).all() else np.full(codes.shape, -1)
    wrong = (found != codes) | (found < 0) | (found >= n_codes)
    if wrong.any():
        raise ValueError(f"{name} must be whole numbers from 0 to {n_codes - 1}, got {codes[wrong][0]}")
    return found


class PositionPrior:
    """One categorical distribution for each position, whatever stands at the others.

        p(codes) = prod_i p_i(codes_i)

    Parameters
    ----------
    n_positions, n_codes : int
    codes : array (n, n_positions), optional
        What it is fitted to, by counting: p_i(k) = (n_ik + 1 / n_codes) / (n + 1), one observation more than there
        are, shared by all codes, so that none is impossible. All codes are alike without them.

    Attributes
    ----------
    theta : array (n_positions * n_codes,)
        log p_i(k), float64.

    Raises
    ------
    ValueError or TypeError
        For an argument that does not fit.
    """

    name = "per_position"

    def __init__(self, n_positions, n_codes, codes=None):
        self.n_positions = validate.integer("n_positions", n_positions, least=1)
        self.n_codes = validate.integer("n_codes", n_codes, least=1)
        found = np.zeros((0, n_positions)) if codes is None else codes
        found = checked_codes("codes", found, n_positions, n_codes)
        self.theta = np.log((use(found, n_codes) + 1 / n_codes) / (len(found) + 1)).ravel()

    config = property(
        lambda self: {"n_positions": self.n_positions, "n_codes": self.n_codes},
        doc="The arguments, by name, that make it as it was before it was fitted.",
    )

    def log_prob(self, codes):
        """log p(codes), nats, exact: codes (n, n_positions) -> (n,). ValueError or TypeError if they do not fit."""
        codes = checked_codes("codes", codes, self.n_positions, self.n_codes)
        by_code = self.theta.reshape(self.n_positions, self.n_codes)
        return by_code[np.arange(self.n_positions), codes].sum(axis=1)

    def sample(self, n, rng):
        """n draws of codes, (n, n_positions), whole numbers. rng: a numpy Generator."""
        n, rng = validate.integer("n", n, least=0), validate.generator("rng", rng)
        log_probs = np.broadcast_to(self.theta.reshape(self.n_positions, self.n_codes), (n, *self._shape))
        return _drawn(log_probs, rng.random((n, self.n_positions)))

    _shape = property(lambda self: (self.n_positions, self.n_codes))


class AutoregressivePrior:
    """A distribution for each position, given what stands before it: dense layers with masks on one-hot codes.

        p(codes) = prod_i p(codes_i | codes_1 ... codes_{i-1}),   p(codes_i | ...) = softmax of the net's output i

    A mask is 0 where a weight would let output i see a code at i or after: each unit of a hidden layer has a position
    up to which it sees. The masked weights are 0 and stay so, for their gradient is masked, too. log p is exact, in one
    pass; a draw takes n_positions passes, each position after those before it.

    It trains by `tv.train` and `tv.fit` on what `VQVAE.encode` gave, which take neither estimator nor objective, noise
    nor n_samples for it; then it is put to use by `vqvae.codes_prior = prior`.

    Parameters
    ----------
    n_positions, n_codes : int
    hidden : tuple of int
        The hidden layers' units. With none, (), the logits are linear in the one-hot codes before them.
    activation : str
        Of the hidden layers, see `MLP`.
    dtype : str
        "float32" or "float64".
    seed : int
        Of the initial weights.

    Attributes
    ----------
    theta : array (P,)
        All parameters. What is assigned to it is copied in, the masked weights apart.
    mask : array (P,)
        1 where a parameter is used, else 0.
    net : MLP
        From n_positions * n_codes numbers, the one-hot codes, to as many, the logits.

    Raises
    ------
    ValueError or TypeError
        For an argument that does not fit.

    Notes
    -----
    Source: Germain, Gregor, Murray & Larochelle 2015; Bengio & Bengio 2000.
    """

    name, format = "autoregressive", "tinyvae.AutoregressivePrior 1"
    likelihood = prior = image_shape = None  # which the trainer asks for

    def __init__(self, n_positions, n_codes, hidden=(200,), activation="relu", dtype="float32", seed=0):
        self.n_positions = self.n_features = validate.integer("n_positions", n_positions, least=1)
        self.n_codes = validate.integer("n_codes", n_codes, least=1)
        self.hidden, self.seed = validate.sizes("hidden", hidden), validate.integer("seed", seed, least=0)
        width, rng = self.n_positions * self.n_codes, np.random.default_rng(self.seed)
        self.net = MLP((width, *self.hidden, width), activation, dtype, rng=rng)
        self.dtype = self.net.dtype
        self.mask = np.ones_like(self.net.theta)
        views = self.net.views(self.mask)
        for layer, mask in enumerate(masks(self.n_positions, self.n_codes, self.hidden)):
            views[f"W{layer}"][...] = mask
        self.theta = self.net.theta

    @property
    def config(self):
        """The arguments, by name, that make it as it was before training."""
        sizes = {name: getattr(self, name) for name in ("n_positions", "n_codes", "hidden", "seed")}
        return sizes | {"activation": self.net.activation, "dtype": self.dtype.name}

    @property
    def theta(self):
        """All parameters, (P,); what is assigned is copied in. Raises ValueError or TypeError if it does not fit."""
        return self.net.theta

    @theta.setter
    def theta(self, value):
        self.net.theta = value
        self.net.theta[:] *= self.mask

    def start_at(self, codes):
        """Set the output's bias to what a `PositionPrior` of codes (n, n_positions) says, and so start near that.

        Call it before training. Raises ValueError or TypeError for codes that do not fit.
        """
        bias = self.net.params[f"b{self.net.n_layers - 1}"]
        bias[:] = PositionPrior(self.n_positions, self.n_codes, codes).theta

    def log_prob(self, codes):
        """log p(codes), nats, exact: codes (n, n_positions) -> (n,). ValueError or TypeError if they do not fit."""
        codes = checked_codes("codes", codes, self.n_positions, self.n_codes)
        found = [self._log_probs(piece)[1].sum(axis=1) for piece in _pieces(codes)]
        return np.concatenate(found) if found else np.zeros(0, self.dtype)

    def sample(self, n, rng):
        """n draws of codes, (n, n_positions), whole numbers. rng: a numpy Generator."""
        n, rng = validate.integer("n", n, least=0), validate.generator("rng", rng)
        codes, uniform = np.zeros((n, self.n_positions), "int64"), rng.random((n, self.n_positions))
        for piece, u in zip(_pieces(codes), _pieces(uniform)):  # views
            for i in range(self.n_positions):
                piece[:, i] = _drawn(self._log_probs(piece)[0][:, i], u[:, i])
        return codes

    # --- what the trainer asks ----------------------------------------------------------------------

    def check_data(self, x, name="x"):
        """Codes (n, n_positions) as numbers of the net's dtype. Raises ValueError or TypeError if they do not fit."""
        codes = checked_codes(name, x, self.n_positions, self.n_codes)
        if not len(codes):
            raise ValueError(f"{name} must hold at least one row, got shape {codes.shape}")
        return codes.astype(self.dtype)

    def using(self, empty):
        """The same prior, the parameters shared, whose steps take their arrays from `empty` (shape, dtype)."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), net=self.net.using(empty))
        return other

    def held_out(self, x):
        """The mean of -log p of held-out codes x (n, n_positions), nats, as a `Bound` whose KL is 0."""
        loss = -float(self.log_prob(x).mean(dtype="float64"))
        return Bound(loss, loss, 0.0)

    def step(self, x, grads):
        """One gradient of one batch. All arguments are checked already.

        Parameters
        ----------
        x : array (B, n_positions)
            Codes, as `check_data` returns them.
        grads : array, as long as `theta`
            Written: the gradient of the batch's mean of -log p, in theta's order.

        Returns
        -------
        Step
            The loss, nats, all of it reconstruction.

        Raises
        ------
        NonFiniteLoss
            If the loss is not finite.
        """
        codes = x.astype("int64")
        log_probs, own, cache = self._log_probs(codes)
        loss = finite("the reconstruction term", -float(own.sum(dtype="float64")) / len(x))
        slope = (np.exp(log_probs) - self._one_hot(codes)) / len(x)  # d loss / d logits, B, n_positions, n_codes
        self.net.backpropagate(cache, slope.reshape(len(x), -1).astype(self.dtype, copy=False), grads)
        grads *= self.mask
        return Step(loss, loss, 0.0)

    def arrays(self):
        """What a file holds, {name: array}: the configuration as JSON, and theta."""
        validate.check_finite("theta", self.theta)
        return {"config": json.dumps({"format": self.format, **self.config}), "theta": self.theta}

    def _one_hot(self, codes):
        """(n, n_positions, n_codes), uint8."""
        return (codes[:, :, None] == np.arange(self.n_codes)).view("uint8")

    def _log_probs(self, codes):
        """log p(each code | those before), n, n_positions, n_codes; that of the codes there; the pass's cache."""
        logits, cache = self.net.propagate(self._one_hot(codes).reshape(len(codes), -1))
        logits = logits.reshape(len(codes), self.n_positions, self.n_codes)
        log_probs = scipy.special.log_softmax(logits, axis=2)
        return log_probs, np.take_along_axis(log_probs, codes[:, :, None], axis=2)[:, :, 0], cache


def masks(n_positions, n_codes, hidden):
    """Which weights an autoregressive net has: of each layer, 1 where a unit may see what stands before it, else 0.

    Parameters
    ----------
    n_positions, n_codes : int
        Inputs and outputs are n_codes at each position.
    hidden : tuple of int
        Units of the hidden layers; unit j of one sees as far as position 1 + j mod (n_positions - 1).

    Returns
    -------
    list of array (n_in, n_out)
        bool.

    Notes
    -----
    Positions count from 1. A hidden unit of position m sees inputs, and hidden units, of positions up to m; an output
    of position i sees hidden units, or where there are none inputs, of positions below i.
    """
    ends = np.repeat(np.arange(1, n_positions + 1), n_codes)
    seen = [ends, *(1 + np.arange(n) % max(1, n_positions - 1) for n in hidden)]
    layers = [before[:, None] <= after for before, after in zip(seen, seen[1:])]
    return [*layers, seen[-1][:, None] < ends]


def _pieces(codes):
    return (codes[start : start + ROWS] for start in range(0, len(codes), ROWS))


def _drawn(log_probs, uniform):
    """Codes by the inverse distribution function. log_probs (..., n_codes), uniform (...) -> (...)."""
    steps = np.exp(log_probs.astype("float64")).cumsum(axis=-1)
    return (steps[..., :-1] <= uniform[..., None] * steps[..., -1:]).sum(axis=-1)


CODES_PRIORS = {one.name: one for one in (PositionPrior, AutoregressivePrior)}


def prior_arrays(prior):
    """What a model's file holds of the prior of its codes.

    Parameters
    ----------
    prior : PositionPrior or AutoregressivePrior

    Returns
    -------
    dict
        {name: array}, as `prior_in` takes them.
    """
    validate.check_finite("the codes' prior", prior.theta)
    config = json.dumps({"name": prior.name, **prior.config})
    return {"codes_prior.config": config, "codes_prior.theta": prior.theta}


def prior_in(file):
    """The prior that `prior_arrays` put into a file.

    Parameters
    ----------
    file : dict
        {name: array}.

    Returns
    -------
    PositionPrior or AutoregressivePrior

    Raises
    ------
    KeyError, ValueError or TypeError
        If it is damaged.
    """
    config, theta = json.loads(str(file["codes_prior.config"])), file["codes_prior.theta"]
    kind = CODES_PRIORS[validate.choice("the codes' prior", config.pop("name"), CODES_PRIORS)]
    prior = kind(**config)
    prior.theta = validate.array("the codes' prior", theta, prior.theta.shape, prior.theta.dtype)
    return prior
