"""The heart: one gradient of one batch. First as plain maths, then as the fast step, its twin, of the same arguments.

TINYVAE_NUMPY=1 runs the plain one.
"""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import ask, check_samples
from tinyvae.estimators.traits import decoder_sample
from tinyvae.kernels.compile import instead_of
from tinyvae.models.reconstruction import finite
from tinyvae.objectives import Integrand, answer

__all__ = [
    "Step", "step_numpy", "step", "loss_and_grads", "prior_gradients", "encoder_gradient", "write_encoder_gradient",
]  # fmt: skip


class Step(NamedTuple):
    """One evaluation of the loss: nats, means over the batch.

    Attributes
    ----------
    loss : float
        The objective's: for the ELBO with beta = 1 and an analytic KL, the sum of the other two.
    reconstruction : float
        -log p(x | z), averaged over the samples.
    kl : float
        KL(q(z | x) || p(z)) in closed form, whatever the objective.
    """

    loss: float
    reconstruction: float
    kl: float


def step_numpy(vae, x, eps, estimator, objective, rng, grads):
    """One gradient of one batch, as plain maths. All arguments are checked already.

    Parameters
    ----------
    vae : VAE
        The model, which is not changed.
    x : array (B, D)
        Data, of the model's dtype, or uint8 holding 0 and 1.
    eps : array (S, B, K)
        Noise, as `vae.noise` draws it.
    estimator : callable
        (q, target, eps, objective, rng) -> Draws, for the encoder's gradient.
    objective : ELBO, ImportanceWeighted or one of your own
        See `tinyvae.objectives`.
    rng : numpy.random.Generator or None
        For estimators that draw more than eps.
    grads : array, as long as `vae.theta`
        Written: the gradient of the batch's mean loss, in theta's order.

    Returns
    -------
    Step
        The loss and its two terms, nats.

    Raises
    ------
    NonFiniteLoss
        If a term is not finite; the message names it.
    TypeError, ValueError
        If the estimator returns no Draws of the right shapes.
    """
    params, cache = vae.encoder.forward(x.astype(vae.dtype))  # B, P
    q, target = vae.latents(params), vae.target(x)  # q(z | x), and f(z) = -log p(x | z)
    kl = finite("the KL term", float(q.kl().mean()))

    # The decoder's side: each sample's loss by its share in the batch's mean. y is z, unless the estimator relaxes it.
    z = q.sample(eps)  # S, B, K
    y = decoder_sample(estimator, q, eps, z)  # S, B, K
    losses = Integrand(q, target, objective)(y)  # S, B
    weights = answer(objective, "weights", losses, losses.shape, vae.dtype) / len(x)  # S, B
    decoder_grads = target.weight_gradients(y, weights)

    # The encoder's side: an estimator, at the same eps. Its draws' mean over S, plus the slope of a KL in closed form.
    draws = ask(estimator, q, target, eps, objective, rng)  # S, B and S, B, P
    dparams = finite("the gradient of the encoder's output", q.batch_gradient(draws.dparams, objective))  # B, P
    _, encoder_grads = vae.encoder.backward(cache, dparams)

    # In theta's order: the encoder's, the decoder's, the likelihood's own, and the prior's, if it learns.
    parts = encoder_grads, decoder_grads, prior_gradients(q, z, weights, objective)
    grads[:] = np.concatenate([array.ravel() for part in parts for array in part.values()])
    loss = answer(objective, "value", draws.f, (len(x),)).mean() + answer(objective, "kl_value", q, ())
    return Step(float(loss), float(target(z).mean()), kl)  # the target remembers the decoder's last pass


@instead_of(step_numpy)
def step(vae, x, eps, estimator, objective, rng, grads):
    """The same, fast: arrays are used again, bits not multiplied, each network's pass shared by all cores.

    Parameters
    ----------
    vae, x, eps, estimator, objective, rng, grads
        As for `step_numpy`: the two are held equal by the tests.

    Returns
    -------
    Step
        The loss and its two terms, nats.

    Raises
    ------
    NonFiniteLoss
        If a term is not finite; the message names it.
    """
    encoder_grads, decoder_grads, own_grads, prior_grads = vae.gradient_views(grads)
    params, cache = vae.encoder.propagate(x)  # B, P
    q, target = vae.latents(params), vae.target(x)
    kl = finite("the KL term", float(q.kl().sum()) / len(x))

    z = q.sample(eps)  # S, B, K
    y = decoder_sample(estimator, q, eps, z)  # S, B, K
    f = target(y)  # S, B
    reconstruction = finite("the reconstruction term", float(f.sum()) / f.size)
    losses = Integrand(q, target, objective).from_target(f, y)  # S, B
    weights = answer(objective, "weights", losses, losses.shape, vae.dtype) / len(x)  # S, B
    target.write_weight_gradients(y, weights, decoder_grads, own_grads)

    draws = ask(estimator, q, target, eps, objective, rng)
    if y is not z:
        reconstruction = finite("the reconstruction term", float(target(z).mean()))  # as remembered from the estimator
    loss = float(answer(objective, "value", draws.f, (len(x),)).sum()) / len(x)
    loss += float(answer(objective, "kl_value", q, ()))
    write_encoder_gradient(vae.encoder, q, cache, draws, objective, encoder_grads)
    if prior_grads:
        for name, array in prior_gradients(q, z, weights, objective).items():
            prior_grads[name][...] = array
    return Step(loss, reconstruction, kl)


def loss_and_grads(model, x, eps, estimator, objective, rng):
    """A model's own step, its noise checked, and the gradient in an array of its own.

    Parameters
    ----------
    model : VAE or TwoLayerVAE
        It says the shape of its noise, and takes the step.
    x, eps, estimator, objective, rng
        As for `step_numpy`; eps and rng are checked here, the rest by the model.

    Returns
    -------
    loss : float
        Nats a data point.
    grads : array (P,)
        Aligned with theta.

    Raises
    ------
    ValueError, TypeError
        For noise or a generator that does not fit.
    NonFiniteLoss
        If the loss is not finite.
    """
    eps = validate.array("eps", eps, ("S", *model.noise_shape(len(x))), model.dtype)
    check_samples("loss_and_grads", eps, least=1)
    if rng is not None:
        validate.generator("rng", rng)
    grads = np.empty_like(model.theta)
    loss = model.step(x, eps, estimator, objective, rng, grads).loss
    finite("the gradient", grads)
    return finite("the loss", loss), grads


def prior_gradients(q, z, weights, objective):
    """d/d(the prior's own parameters) of a batch's mean loss: through the KL in closed form, and through log p(z).

        sum_bk kl_weights_bk / B dKL_bk - beta sum_sb weights_sb dlog p(z_sb),  beta the objective's `sampled_kl`

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        One for each of B data points, with its prior.
    z : array (S, B, K)
        Its samples.
    weights : array (S, B)
        Each sample's share in the batch's mean loss.
    objective : ELBO, ImportanceWeighted or another objective
        It weighs the KLs.

    Returns
    -------
    dict
        {name: array}; empty for a prior that does not learn.
    """
    if not hasattr(q.prior, "parameters") or not (names := q.prior.parameters(z.shape[2])):
        return {}
    shares = np.asarray(objective.kl_weights(q), q.dtype) / len(q.params)  # of each latent, B, K, or of all alike
    closed, sampled = q.prior.kl_gradients(q, shares), q.prior.log_prob_gradients(z, weights)
    return {name: closed[name] - objective.sampled_kl * sampled[name] for name in names}


def encoder_gradient(vae, x, eps, estimator, objective, rng, grads):
    """The encoder's part of the step alone: what an estimator costs.

    Parameters
    ----------
    vae, x, eps, estimator, objective, rng, grads
        As for `step_numpy`; of grads, the encoder's part is written.

    Returns
    -------
    Target
        f, which has counted how often it was asked.

    Raises
    ------
    NonFiniteLoss
        If a term is not finite; the message names it.
    """
    params, cache = vae.encoder.propagate(x)  # B, P
    q, target = vae.latents(params), vae.target(x)
    draws = ask(estimator, q, target, eps, objective, rng)
    write_encoder_gradient(vae.encoder, q, cache, draws, objective, vae.gradient_views(grads)[0])
    return target


def write_encoder_gradient(encoder, q, cache, draws, objective, grads):
    """Write the gradient of an encoder's weights, from an estimator's draws at its output.

    Parameters
    ----------
    encoder : MLP
    q : DiagonalGaussian or another distribution
        Of the encoder's output.
    cache : Cache
        Of the encoder's forward pass.
    draws : Draws
        The estimator's.
    objective : ELBO, ImportanceWeighted or another objective
        It weighs the KLs.
    grads : array (P,)
        Written, laid out as the encoder's theta.

    Raises
    ------
    NonFiniteLoss
        If the gradient of the encoder's output is not finite.
    """
    dparams = finite("the gradient of the encoder's output", q.batch_gradient(draws.dparams, objective))  # B, P
    validate.check_shape("the gradient of the encoder's output", dparams, q.params.shape)
    dy = encoder.empty(dparams.shape, encoder.dtype)
    dy[...] = dparams
    encoder.backpropagate(cache, dy, grads)
