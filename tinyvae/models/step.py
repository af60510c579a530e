"""The heart: one gradient of one batch. First as plain maths, then as the fast step, its twin: the same arguments.

TINYVAE_NUMPY=1 runs the plain one. Both take everything checked: x (B, D) of the model's dtype or uint8 holding 0 and 1,
eps (S, B, K); both write into `grads` (P,), aligned with theta, and return a Step.
"""

from typing import NamedTuple

from tinyvae.estimators.contract import checked_draws
from tinyvae.kernels.compile import instead_of
from tinyvae.machine import workers
from tinyvae.models.reconstruction import finite
from tinyvae.objectives import Integrand

__all__ = ["Step", "step_numpy", "step", "encoder_gradient"]


class Step(NamedTuple):
    """One evaluation of the loss: nats, means over the batch. kl is the closed form, whatever the objective."""

    loss: float
    reconstruction: float
    kl: float


def step_numpy(vae, x, eps, estimator, objective, rng, grads):
    """One gradient of one batch, as plain maths. Writes it into `grads` (P,) and returns a Step."""
    params, cache = vae.encoder.forward(x.astype(vae.dtype))  # B, P
    q, target = vae.latents(params), vae.target(x)  # q(z | x); f(z) = -log p(x | z)
    kl = finite("the KL term", float(q.kl().mean()))

    z = q.sample(eps)  # S, B, K: where the decoder is trained
    losses = Integrand(q, target, objective)(z)  # S, B
    decoder_grads = target.weight_gradients(z, objective.weights(losses) / len(x))

    draws = checked_draws(estimator(q, target, eps, objective, rng), q, eps)  # the encoder's side, and nothing else
    dparams = finite("the gradient of the encoder's output", q.batch_gradient(draws.dparams, objective))  # B, P
    _, encoder_grads = vae.encoder.backward(cache, dparams)

    for name, array in {**{f"encoder.{name}": array for name, array in encoder_grads.items()}, **decoder_grads}.items():
        vae.views(grads)[name][...] = array
    return Step(float(objective.value(draws.f).mean()) + objective.kl_value(q), float(target(z).mean()), kl)


@instead_of(step_numpy)
def step(vae, x, eps, estimator, objective, rng, grads):
    """The same with arrays that are used again, bits that are not multiplied, and the decoder's weights on a second thread."""
    encoder_grads, decoder_grads, own_grads = vae.gradient_views(grads)
    params, cache = vae.encoder.propagate(x)  # B, P
    q, target = vae.latents(params), vae.target(x)
    kl = finite("the KL term", float(q.kl().sum()) / len(x))

    z = q.sample(eps)  # S, B, K
    f = target(z)  # S, B
    reconstruction = finite("the reconstruction term", float(f.sum()) / f.size)
    weights = objective.weights(Integrand(q, target, objective).from_target(f, z))  # S, B
    weights /= len(x)
    decoder_tasks = target.weight_gradient_tasks(z, weights, decoder_grads, own_grads)

    with workers.meanwhile(decoder_tasks, f.size * vae.decoder.theta.size):  # they need nothing of what follows
        draws = checked_draws(estimator(q, target, eps, objective, rng), q, eps)
        loss = float(objective.value(draws.f).sum()) / len(x) + objective.kl_value(q)
        _encoder_backward(vae, q, cache, draws, objective, encoder_grads)
    return Step(loss, reconstruction, kl)


def encoder_gradient(vae, x, eps, estimator, objective, rng, grads):
    """The encoder's part of the step alone: what an estimator costs. Returns the target, which has counted what it was asked."""
    params, cache = vae.encoder.propagate(x)  # B, P
    q, target = vae.latents(params), vae.target(x)
    draws = checked_draws(estimator(q, target, eps, objective, rng), q, eps)
    _encoder_backward(vae, q, cache, draws, objective, vae.gradient_views(grads)[0])
    return target


def _encoder_backward(vae, q, cache, draws, objective, grads):
    """Write the gradient of the encoder's weights into the views `grads`, from an estimator's draws at its output."""
    dparams = finite("the gradient of the encoder's output", q.batch_gradient(draws.dparams, objective))  # B, P
    tasks = vae.encoder.weight_gradients(cache, vae.encoder.deltas(cache, dparams), grads)
    workers.share(tasks, len(dparams) * vae.encoder.theta.size)
