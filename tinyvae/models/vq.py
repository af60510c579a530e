"""The VQ-VAE: an autoencoder whose code is, at each position, one of a codebook's vectors."""

import numpy as np

from tinyvae import validate
from tinyvae.evaluate import Bound
from tinyvae.machine import disk
from tinyvae.models.codes_prior import CODES_PRIORS, PositionPrior, checked_codes, prior_arrays, prior_in
from tinyvae.models.model import Model
from tinyvae.models.quantization import nearest, perplexity, use
from tinyvae.models.reconstruction import finite
from tinyvae.models.step import Step

__all__ = ["VQVAE", "CODEBOOK_BY"]

CODEBOOK_BY = ("moving_averages", "gradient")
OPTIONS = ("n_positions", "n_codes", "code_size", "codebook_by", "commitment", "decay", "revive")
ROWS = 1000  # of data that are encoded at once


class VQVAE(Model):
    """An encoder, a codebook and a decoder: a code is n_positions whole numbers, each of n_codes.

        z = encoder(x), n_positions vectors;  e = the codebook's nearest to each;  p(x | e) = likelihood(decoder(e))
        loss = -log p(x | e) + |sg(z) - e|^2 + commitment |z - sg(e)|^2,   sums over the positions, sg: held fixed

    The nearest vector jumps, its slope is 0 or infinite. **Straight through**: dz of the first term is taken to be its
    slope at e, as if e were z + a constant; the codebook learns nothing from it. This is biased by design, and no
    estimate of the slope of E[loss]: there is nothing random here.

    The codebook's term, the second, is served by its gradient, or, with it left out of the loss, by moving averages:
    with n_k of a batch's vectors nearest to e_k, and s_k their sum,

        N_k <- decay N_k + (1 - decay) n_k,   e_k <- e_k + (1 - decay) (s_k - n_k e_k) / N_k

    which is e_k = (moving average of s_k) / (moving average of n_k). In both cases N_k is kept, and a code of N_k below
    `revive` times the mean of all N is dead: it is put on one of the batch's z, drawn at random, and N_k on the mean.
    So the first batch spreads the codebook over its data.

    Codes have no prior in training (a uniform one costs the same for all x). To draw images, give it one afterwards:

        vqvae.codes_prior = PositionPrior(n_positions, n_codes, vqvae.encode(x)), or an AutoregressivePrior fitted to it

    It trains through `tv.train` and `tv.fit`, which take neither estimator nor objective, noise nor n_samples for it.

    Parameters
    ----------
    n_features : int
        D pixels.
    n_positions, n_codes, code_size : int
        The vectors of a code; those in the codebook, which all positions share; the numbers in one.
    hidden : tuple of int
        The encoder's hidden layers, which the decoder mirrors.
    activation : str
        Of the hidden layers, see `MLP`.
    likelihood : str or a likelihood
        What the decoder says of a pixel, see `tinyvae.likelihoods`.
    dtype : str
        "float32" or "float64".
    seed : int
        Of the initial weights.
    codebook_by : str
        "moving_averages" or "gradient": how the codebook learns.
    commitment : float
        Weight of the encoder's distance to its codes, beta in the paper.
    decay : float
        What a moving average keeps at a step, from 0 to below 1.
    revive : float
        The share of the mean use below which a code is dead, from 0 (none is) to below 1.

    Attributes
    ----------
    theta : array (P,)
        All parameters: the encoder's, the decoder's, the likelihood's own, the codebook's and each code's use N, which
        has no gradient. What is assigned to it is copied in.
    encoder, decoder : MLP
        Their parameters are views into theta.
    own : dict
        {name: array}, the likelihood's own parameters, views into theta.
    codes_prior : PositionPrior or AutoregressivePrior
        What `sample` draws codes from; all codes alike until another is assigned.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.

    Notes
    -----
    Source: van den Oord, Vinyals & Kavukcuoglu 2017, with the moving averages of its appendix A.1.
    """

    format = "tinyvae.VQVAE 1"
    code_size = None  # here of one vector

    def __init__(
        self,
        n_features,
        n_positions,
        n_codes,
        code_size,
        hidden=(200,),
        activation="tanh",
        likelihood="bernoulli",
        dtype="float32",
        seed=0,
        codebook_by="moving_averages",
        commitment=0.25,
        decay=0.99,
        revive=0.1,
    ):
        self.n_positions = validate.integer("n_positions", n_positions, least=1)
        self.n_codes = validate.integer("n_codes", n_codes, least=2)
        self.code_size = validate.integer("code_size", code_size, least=1)
        self.codebook_by = validate.choice("codebook_by", codebook_by, CODEBOOK_BY)
        self.commitment = validate.number("commitment", commitment, least=0)
        self.decay, self.revive = _below_one("decay", decay), _below_one("revive", revive)
        self._seen, self._codes_prior = None, PositionPrior(self.n_positions, self.n_codes)
        self._make(n_features, self.n_positions, hidden, activation, likelihood, dtype, seed)
        self._fill(self.decoder_inputs)

    @property
    def decoder_inputs(self):
        """How many numbers the decoder takes: a vector for each position."""
        return self.n_positions * self.code_size

    @property
    def n_states(self):
        """How many codes there are."""
        return self.n_codes**self.n_positions

    @property
    def config(self):
        """The arguments, by name, that make this model as it was before training."""
        rest = {name: value for name, value in super().config.items() if name != "n_latents"}
        return rest | {name: getattr(self, name) for name in OPTIONS}

    def further_parameters(self):
        """{"codebook": {"vectors": (n_codes, code_size), "use": (n_codes,)}}, as they start."""
        rng = np.random.default_rng([self.seed, 1])
        vectors = rng.uniform(-1, 1, (self.n_codes, self.code_size)) / self.n_codes
        return {"codebook": {"vectors": vectors, "use": np.zeros(self.n_codes)}}

    codebook = property(lambda self: self.params["codebook.vectors"], doc="(n_codes, code_size), a view into theta.")

    @property
    def codes_prior(self):
        """What `sample` draws codes from. Raises ValueError or TypeError for one that does not fit."""
        return self._codes_prior

    @codes_prior.setter
    def codes_prior(self, prior):
        if not isinstance(prior, tuple(CODES_PRIORS.values())):
            names = " or ".join(f"tv.models.{kind.__name__}" for kind in CODES_PRIORS.values())
            raise TypeError(f"codes_prior must be a {names}, got {prior!r}")
        there, own = ((one.n_positions, one.n_codes) for one in (prior, self))
        if there != own:
            raise ValueError(
                f"codes_prior must be of {own[0]} positions and {own[1]} codes, as the model, got one of {there[0]} "
                f"and {there[1]}"
            )
        self._codes_prior = prior

    # --- using the model ------------------------------------------------------------------------------

    def encode(self, x):
        """The codes, whole numbers: x (n, D) -> (n, n_positions)."""
        return np.concatenate([codes for _, _, codes in self._pieces(self.check_data(x))])

    def decode(self, codes):
        """p(x | codes). codes (n, n_positions) -> the likelihood, with .mean (n, D), .log_prob(x) and .sample(rng)."""
        codes = checked_codes("codes", codes, self.n_positions, self.n_codes)
        outputs, _ = self.decoder.propagate(self._vectors(codes))
        return self.likelihood(outputs, **self.own)

    def reconstruct(self, x):
        """The mean of p(x | codes) at the codes of x. x (n, D) -> (n, D)."""
        return self.decode(self.encode(x)).mean

    def sample(self, n, rng):
        """The means of p(x | codes) for n draws of codes from `codes_prior`, (n, D)."""
        return self.decode(self.codes_prior.sample(n, rng)).mean

    def use(self, x):
        """How often data x (n, D) have each code at each position, (n_positions, n_codes), whole numbers."""
        return use(self.encode(x), self.n_codes)

    def perplexity(self, x):
        """How many codes, used alike, would be as uncertain as those that data x (n, D) have: from 1 to n_codes.

        It is of the codebook, all positions together. Of each position by itself it is `quantization.perplexity` of
        `use(x)`: lower, and 1 where a position is stuck at one code, which the codebook as a whole need not show.
        """
        return float(perplexity(self.use(x).sum(axis=0)))

    def held_out(self, x):
        """The mean loss of held-out data x (n, D), nats, and its reconstruction term, as a `Bound` whose KL is 0.

        Raises ValueError or TypeError for data that do not fit, NonFiniteLoss if the loss is not finite.
        """
        x = self.check_data(x)
        total, distance = 0.0, 0.0
        for piece, z, codes in self._pieces(x):
            e = self._vectors(codes)
            total += float(self.target(piece)(e[None]).sum(dtype="float64"))
            distance += float(((z - e) ** 2).sum(dtype="float64"))
        reconstruction = total / len(x)
        return Bound(reconstruction + self._distance_weight * distance / len(x), reconstruction, 0.0)

    # --- training -------------------------------------------------------------------------------------

    def step(self, x, grads):
        """One gradient of one batch. All arguments are checked already.

        Parameters
        ----------
        x : array (B, D)
            Data, of the model's dtype, or uint8 holding 0 and 1.
        grads : array, as long as `theta`
            Written: the gradient of the batch's mean loss, straight through the nearest vector, in theta's order.

        Returns
        -------
        Step
            The loss and its first term, nats; no KL.

        Raises
        ------
        NonFiniteLoss
            If a term or the slope at the code is not finite.
        """
        encoder_grads, decoder_grads, own_grads, _ = self.gradient_views(grads)
        z, cache = self.encoder.propagate(x)  # B, n_positions * code_size
        codes = self._codes(finite("the encoder's output", z))
        e = self._vectors(codes)
        off = z - e
        distance = finite("the distance to the codebook", float((off**2).sum()) / len(x))
        target, points = self.target(x), e[None]
        reconstruction = finite("the reconstruction term", float(target(points).sum()) / len(x))
        target.write_weight_gradients(points, np.full((1, len(x)), 1 / len(x), self.dtype), decoder_grads, own_grads)

        through = target.grad(points)[0] / len(x)  # straight through: at e, taken for z's
        pull = (2 * self.commitment / len(x)) * off  # the encoder's vectors to the codebook's, which are held
        dz = finite("the gradient of the code", through + pull)
        self.encoder.backpropagate(cache, dz.astype(self.dtype, copy=False), encoder_grads)

        book = self.views(grads)
        book["codebook.use"][:] = book["codebook.vectors"][:] = 0
        if self.codebook_by == "gradient":  # the codebook's vectors to the encoder's, which are held
            counts, sums = self._totals(z, codes)
            book["codebook.vectors"][:] = (2 / len(x)) * (counts[:, None] * self.codebook - sums)
        self._seen = z, codes
        return Step(reconstruction + self._distance_weight * distance, reconstruction, 0.0)

    def after_step(self, rng):
        """What a step changes that no gradient does: moving averages, and codes that are dead; rng draws their places.

        It is of the batch of the last `step`, its vectors as they were then.
        """
        z, codes = self._seen
        counts, sums = self._totals(z, codes)
        vectors, n = self.codebook, self.params["codebook.use"]
        n[:] = self.decay * n + (1 - self.decay) * counts
        if self.codebook_by == "moving_averages":
            found = counts > 0
            moved = sums[found] - counts[found, None] * vectors[found]
            vectors[found] += (1 - self.decay) * moved / n[found, None]
        if (dead := np.flatnonzero(n < self.revive * n.mean())).size:
            z = z.reshape(-1, self.code_size)
            vectors[dead] = z[rng.choice(len(z), len(dead), replace=len(z) < len(dead))]
            n[dead] = n.mean()

    def loss_and_grads(self, x):
        """The mean loss of a batch and its gradient. x (B, D) -> nats, float, and (P,), aligned with theta.

        Raises ValueError or TypeError for data that do not fit, NonFiniteLoss if the loss is not finite.
        """
        x = self.check_data(x)
        x = x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else x
        grads = np.empty_like(self.theta)
        loss = self.step(x, grads).loss
        validate.check_finite("the gradient", grads)
        return loss, grads

    def status(self):
        """A few words for an epoch's line: how many codes are in use."""
        return f"perplexity {perplexity(self.params['codebook.use']):.1f} of {self.n_codes}"

    # --- files ----------------------------------------------------------------------------------------

    def arrays(self):
        """What `save` writes, {name: array}: as of other models, and the prior of the codes."""
        return super().arrays() | prior_arrays(self.codes_prior)

    def take(self, file):
        """Take what a file {name: array} holds beside the parameters: the images' shape, and the codes' prior."""
        super().take(file)
        self.codes_prior = prior_in(file)

    # --- the parts ------------------------------------------------------------------------------------

    @property
    def _distance_weight(self):
        """Of |z - e|^2 in the value of the loss: by gradient it stands there twice."""
        return self.commitment + (self.codebook_by == "gradient")

    def _codes(self, z):
        return nearest(z.reshape(-1, self.code_size), self.codebook).reshape(-1, self.n_positions)

    def _vectors(self, codes):
        return self.codebook[codes].reshape(len(codes), self.decoder_inputs)

    def _totals(self, z, codes):
        """How many of z's vectors each code has, (n_codes,), and their sum, (n_codes, code_size)."""
        own = (codes.ravel() == np.arange(self.n_codes)[:, None]).astype(self.dtype)
        return own.sum(axis=1), own @ z.reshape(-1, self.code_size)

    def _pieces(self, x):
        """(rows of x, their z, their codes), so many rows at a time."""
        for start in range(0, len(x), ROWS):
            piece = x[start : start + ROWS].astype(self.dtype, copy=False)
            disk.release(x)
            z, _ = self.encoder.propagate(piece)
            yield piece, z, self._codes(z)


def _below_one(name, value):
    """A share from 0 to below 1."""
    if (value := validate.number(name, value, least=0)) >= 1:
        raise ValueError(f"{name} must be below 1, got {value:g}")
    return value
