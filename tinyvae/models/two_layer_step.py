"""One gradient of one batch of two layers of bits: an estimator call for each layer, and the same by enumeration.

The loss is a mean over z1, and within it one over z2. Each layer's estimator is given that layer's q and its target,
what it costs to have drawn z there:

    f1(z1) = -log p(x | z1) + beta { E_q(z2|z1)[log fair(z1) / p(z1 | z2)] + KL(q(z2 | z1) || p(z2)) },   q(z1 | x)
    f2(z2) = beta log fair(z1) / p(z1 | z2),   with z1 held,                                              q(z2 | z1)

fair(z1) = 2^-K1 is q(z1 | x)'s prior here, so that the rest of the loss, beta KL(q(z1 | x) || fair), is that layer's KL
as in a `VAE`: in closed form or sampled, as the objective says, and so the upper layer's. log p(z1 | z2), which depends
on both samples, has no closed form and stands in the targets.

What stands in f1 as a mean over z2 is asked at draws: the upper layer's noise is drawn once, S times a data point, and
each z1 that is asked about meets all S of it. Given that noise f1 is one function of z1, so that whatever an estimator
does with f1(z1), f1(z1'), ... is right for it, and right on average. Estimators that ask for values alone (the score
function and its baselines, ARM, DisARM) are unbiased. A place where f1 is asked costs one row of decoder and upper
encoder, and S rows of the upper decoder; a place of f2 one row of the upper decoder. So for S samples a data point the
score function takes S rows and S^2; ARM and DisARM 2 S, and 3 S^2: z2 and z2' given z1, z2 given z1'.

df1/dz1 is no such thing: given the noise, z2 jumps where z1 moves. It is

    df1/dz1 = -dlog p(x | z1)/dz1 - beta E[dlog p(z1 | z2)/dz1] + dlambda2/dz1 d{E_q(z2|z1)[f2] + beta KL}/dlambda2

lambda2 being q(z2 | z1)'s log-odds as the upper encoder gives them, and for the last factor the upper layer's estimator
is asked, at each z1 where the lower one asks for a slope, which costs its evaluations there. df1/dz1 is unbiased if
that one is, and so are then MuProp, REBAR and RELAX, in which f1 and df1/dz1 enter linearly, at places that do not
depend on the upper noise. One that is biased by design passes its own slope on, as is done with it elsewhere: straight
through both layers, or relaxed in both, the upper layer then given the relaxed z1.
"""

import math

import numpy as np

from tinyvae.distributions import Binary
from tinyvae.estimators.contract import Target, ask
from tinyvae.estimators.layers import copy_that_forgets
from tinyvae.estimators.traits import decoder_sample, traits
from tinyvae.kernels.data import same
from tinyvae.likelihoods import Bernoulli
from tinyvae.models.reconstruction import Reconstruction, finite
from tinyvae.models.step import Step, prior_gradients, write_encoder_gradient
from tinyvae.objectives import Integrand

__all__ = ["step", "exact_step", "LowerTarget", "UpperLayer"]


def step(model, x, eps, estimator, objective, rng, grads):
    """One gradient of one batch. All arguments are checked already.

    Parameters
    ----------
    model : TwoLayerVAE
        The model, which is not changed.
    x : array (B, D)
        Data, of the model's dtype, or uint8 holding 0 and 1.
    eps : array (S, B, K1 + K2)
        Uniform noise, as `model.noise` draws it, the lower layer's first.
    estimator : PerLayer
        An estimator for each layer.
    objective : ELBO
        An average over samples, with one weight for the whole KL.
    rng : numpy.random.Generator or None
        For estimators that draw more than eps.
    grads : array, as long as `model.theta`
        Written: the gradient of the batch's mean loss, in theta's order.

    Returns
    -------
    Step
        The loss and its two terms, nats. The KL is that of both layers: in closed form but for log p(z1 | z2), which
        is sampled.

    Raises
    ------
    NonFiniteLoss
        If a term is not finite; the message names it.
    TypeError, ValueError
        If an estimator returns no Draws of the right shapes.
    """
    encoder_grads, decoder_grads, own_grads, prior_grads, *upper_grads = model.gradient_views(grads)
    lower, upper = estimator.parts
    params, cache = model.encoder.propagate(x)  # B, K1
    q = Binary.from_params(params)
    kl = finite("the KL term", float(q.kl().sum()) / len(x))  # to fair bits
    eps1, eps2 = _split(eps, model)
    target = LowerTarget(model, x, eps2, estimator, objective, rng)

    z = q.sample(eps1)  # S, B, K1
    y = decoder_sample(lower, q, eps1, z)  # S, B, K1: z itself, unless relaxed
    shares = np.full(z.shape[:2], 1 / (len(z) * len(x)), model.dtype)  # S, B
    target.below.write_weight_gradients(y, shares, decoder_grads, own_grads)

    above = target.above(y)
    above.write_gradients(upper, objective, rng, upper_grads, prior_grads)
    terms = _terms(target, z) if y is z else None
    draws = ask(lower, q, target, eps1, objective, rng)
    write_encoder_gradient(model.encoder, q, cache, draws, objective, encoder_grads)

    loss = float(draws.f.sum(dtype="float64")) / draws.f.size + float(objective.kl_weights(q)) * kl
    reconstruction, further_kl = terms or _terms(target, z)  # as remembered from the estimator
    return Step(loss, reconstruction, kl + further_kl)


def _split(eps, model):
    """The lower layer's noise (S, B, K1), and the upper's (S, B, K2)."""
    n = model.n_latents
    return np.ascontiguousarray(eps[..., :n]), np.ascontiguousarray(eps[..., n:])


def _terms(target, z):
    """-log p(x | z1), and the KL but for that of the lower layer to fair bits: means over z (S, B, K1), nats."""
    reconstruction = finite("the reconstruction term", float(target.below(z).mean(dtype="float64")))
    return reconstruction, finite("the KL term", float(target.above(z).kl.mean(dtype="float64")))


class LowerTarget(Target):
    """f1(z1): what the lower layer's draw costs below it and above it, nats. z1 (S, B, K1) -> (S, B).

    The last z1 asked about is remembered with the passes that it took.

    Parameters
    ----------
    model : TwoLayerVAE
    x : array (B, D)
        Data, of the model's dtype, or uint8 holding 0 and 1.
    eps2 : array (S, B, K2)
        The upper layer's noise.
    estimator : PerLayer
        Its upper part is asked where f1's slope is.
    objective : ELBO
        As `step` takes it.
    rng : numpy.random.Generator or None

    Attributes
    ----------
    below : Reconstruction
        -log p(x | z1).
    """

    def __init__(self, model, x, eps2, estimator, objective, rng):
        super().__init__(self._value, self._slope)
        self.below, self._model, self._eps2, self._objective, self._rng = model.target(x), model, eps2, objective, rng
        self._lower, self._upper = estimator.parts
        self._keeps = "grad" in traits(self._lower).f
        self._z = self._above = None

    def above(self, z):
        """The upper layer given z1 (S, B, K1), an `UpperLayer`."""
        if self._z is None or self._z.shape != z.shape or not same(z.ravel(), self._z.ravel()):
            self._above = UpperLayer(self._model, z, self._eps2, self._objective, self._keeps)
            self._z = self._above.rows.reshape(z.shape)
        return self._above

    def check_finite(self, name, result):
        """Raise NonFiniteLoss unless all of `result` is finite."""
        finite(f"the lower layer's {'cost' if name == 'value' else 'slope'}", result)

    def _value(self, z):
        return self.below(z) + self.above(z).losses.reshape(z.shape[:2])

    def _slope(self, z):
        above = self.above(z)
        return self.below.grad(z) + above.slope(self._upper, self._objective, self._rng).reshape(z.shape)


class UpperLayer:
    """q(z2 | z1) for R rows of z1, its draws, and what they cost.

    Parameters
    ----------
    model : TwoLayerVAE
    z : array (S', B, K1)
        z1; each of the S' B = R is a row, a data point to the upper layer.
    eps2 : array (S, B, K2)
        Noise, the same for all S' samples of a data point.
    objective : ELBO
        As `step` takes it.
    keeps : bool
        Whether a slope in z1 will be asked.

    Attributes
    ----------
    rows : array (R, K1)
        z1.
    q : Binary
        q(z2 | z1).
    eps : array (S, R, K2)
        The noise of each row.
    z : array (S, R, K2)
        z2.
    target : Target
        f2(z2) = weight log [fair(z1) / p(z1 | z2)], nats. z2 (S, R, K2) -> (S, R).
    weight : float
        Of the whole KL in the objective.
    losses : array (R,)
        What stands above z1 in f1, nats.
    """

    def __init__(self, model, z, eps2, objective, keeps=False):
        self._encoder, (n, n_points, n_lower) = model.upper_encoder, z.shape
        self.rows = self._encoder.empty((n * n_points, n_lower), model.dtype)
        self.rows[...] = z.reshape(self.rows.shape)  # a copy: an estimator may write into its own
        params, self._cache = self._encoder.propagate(self.rows)
        self.q = q = Binary.from_params(params, model.prior)
        self.eps = np.broadcast_to(eps2[:, None], (len(eps2), n, *eps2.shape[1:])).reshape(len(eps2), *params.shape)
        self.z = q.sample(self.eps)
        closed = float(objective.kl_weights(q))
        self.weight = closed + float(objective.sampled_kl)
        self._cross = _Cross(model.upper_decoder, Bernoulli, self.rows)
        if keeps:
            self._cross.outputs(self.z)
        self.target = Target(self._value, self._grad)
        self.losses = Integrand(q, self.target, objective)(self.z).mean(axis=0)  # R
        if closed:
            self.losses += np.asarray(closed * q.kl(), self.losses.dtype)
        self._exact = self.weight == closed == 1  # the losses are nothing but the KL
        self._draws = self._slope = None

    @property
    def kl(self):
        """The same with weight 1, and with KL(q(z2 | z1) || p(z2)) in closed form, (R,), nats."""
        return self.losses if self._exact else self._fair(self._cross(self.z)).mean(axis=0) + self.q.kl()

    def draws(self, estimator, objective, rng):
        """The estimator's draws of d E_q[f2]/d log-odds, asked once."""
        if self._draws is None:
            self._draws = ask(estimator, self.q, self.target, self.eps, objective, rng)
        return self._draws

    def write_gradients(self, estimator, objective, rng, networks, prior):
        """Write the gradients of the batch's mean loss: the two networks' (P,), encoder first, and the prior's own."""
        shares = np.full(self.z.shape[:2], 1 / (len(self.z) * len(self.rows)), self.q.dtype)  # S, R
        y = decoder_sample(estimator, self.q, self.eps, self.z)
        self._cross.write_weight_gradients(y, np.asarray(self.weight * shares, shares.dtype), networks[1], {})
        draws = self.draws(estimator, objective, rng)
        write_encoder_gradient(self._encoder, self.q, self._cache, draws, objective, networks[0])
        if prior:
            for name, array in prior_gradients(self.q, self.z, shares, objective).items():
                prior[name][...] = array

    def slope(self, estimator, objective, rng):
        """d losses/dz1, (R, K1): what the estimator finds in the log-odds, taken back, and p(z1 | z2)'s own."""
        if self._slope is None:
            # At z2, or where a relaxation has it; before the estimator asks elsewhere.
            y = decoder_sample(estimator, self.q, self.eps, self.z)
            own = self._cross.outputs(y).reshape(len(y), *self.rows.shape).mean(axis=0)  # R, K1: -dlog p(z1 | z2)/dz1
            draws = self.draws(copy_that_forgets(estimator), objective, rng)
            dparams = self._encoder.empty(self.q.params.shape, self.q.dtype)
            dparams[...] = self.q.batch_gradient(draws.dparams, objective) * len(self.rows)  # of each row, no mean
            through = self._encoder.empty(self.rows.shape, self.q.dtype)
            self._encoder.deltas(self._cache, dparams, through)
            self._slope = through - np.asarray(self.weight * own, own.dtype)
        return self._slope

    def _fair(self, f):
        return f - f.dtype.type(self.rows.shape[1] * math.log(2))

    def _value(self, z):
        return np.asarray(self.weight * self._fair(self._cross(z)), z.dtype)

    def _grad(self, z):
        return np.asarray(self.weight * self._cross.grad(z), z.dtype)


class _Cross(Reconstruction):
    """-log p(z1 | z2) of rows z1, as a target: z2 (S, R, K2) -> (S, R)."""

    def check_finite(self, name, result):
        """Raise NonFiniteLoss, naming the term, unless all of `result` is finite."""
        finite(f"-log p(z1 | z2){' in its slope' * (name != 'value')}", result)


def exact_step(model, x, objective, grads):
    """The gradient of a batch's mean loss by enumeration of all 2^(K1 + K2) states, apart from any estimator.

    Parameters
    ----------
    model : TwoLayerVAE
    x : array (B, D)
        Data, of the model's dtype, or uint8 holding 0 and 1.
    objective : ELBO
        As `step` takes it; its loss is the same whether the KL is in closed form or sampled.
    grads : array, as long as `model.theta`
        Written.

    Returns
    -------
    Step
        The loss and its two terms, nats.

    Raises
    ------
    ValueError
        For more than 12 bits in a layer.
    """
    encoder_grads, decoder_grads, own_grads, prior_grads, *upper_grads = model.gradient_views(grads)
    params, cache = model.encoder.propagate(x)
    q1, below = Binary.from_params(params), model.target(x)
    weight = float(objective.kl_weights(q1)) + float(objective.sampled_kl)
    z1, p1 = q1.nodes()  # N1, B, K1 and N1, B
    f = below(z1)
    below.write_weight_gradients(z1, p1 / len(x), decoder_grads, own_grads)

    rows, shares = z1.reshape(-1, z1.shape[2]), p1.reshape(-1) / len(x)  # N1 * B = R
    params, upper_cache = model.upper_encoder.propagate(rows)
    q2, cross = Binary.from_params(params, model.prior), _Cross(model.upper_decoder, Bernoulli, rows)
    z2, p2 = q2.nodes()  # N2, R, K2 and N2, R
    f2 = cross(z2) - rows.shape[1] * math.log(2)  # N2, R
    cross.write_weight_gradients(z2, weight * p2 * shares, upper_grads[1], {})
    dparams = weight * q2.exact_gradient(f2, kl_weight=1.0) * shares[:, None]
    model.upper_encoder.backpropagate(upper_cache, dparams.astype(model.dtype), upper_grads[0])
    if prior_grads:
        for name, array in model.prior.kl_gradients(q2, weight * shares[:, None]).items():
            prior_grads[name][...] = array

    above = ((p2 * f2).sum(axis=0) + q2.kl()).reshape(f.shape)  # N1, B
    dparams = q1.exact_gradient(f + weight * above, kl_weight=weight) / len(x)
    model.encoder.backpropagate(cache, dparams.astype(model.dtype), encoder_grads)
    reconstruction, kl = (p1 * f).sum() / len(x), ((p1 * above).sum() + q1.kl().sum()) / len(x)
    return Step(float(reconstruction + weight * kl), float(reconstruction), float(kl))
