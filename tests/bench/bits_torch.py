"""One gradient of a VAE with bits as latents, by each estimator, in PyTorch: eager, and compiled.

The model is the benchmark's, with logits of K bits in place of [mu, logvar]; the KL is the analytic one to fair bits.
Each estimator is tinyvae's, written the way that is quickest here: the encoder's gradient is formed as an array and
taken back through one backward pass, which the decoder's shares; f's slope at a relaxed sample is a backward pass that
leaves the weights out; the slope of REBAR's temperature is the same difference over 1% of it, both temperatures in one
pass. Only RELAX's small network is trained by differentiating twice. What an estimator learns is learnt in the call.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from peers_torch import N_ROWS, mlp, negative_log_likelihood, pixels, versions

__all__ = ["versions", "bits_gradient", "parameters", "loss", "learners"]

TEMPERATURE, NUDGE, KEEP, HIDDEN = 0.5, 0.01, 0.9, 64


def parameters(sizes, seed=0):
    """[W0, b0, W1, b1, ...], encoder then decoder."""
    rng = np.random.default_rng(seed)
    return [
        torch.from_numpy(a.astype(np.float32))
        for n_in, n_out in zip(sizes[:-1], sizes[1:])
        for a in (rng.normal(0, n_in**-0.5, (n_in, n_out)), np.zeros(n_out))
    ]


def learners(estimator, n_bits):
    """([what learns by a gradient], [the running mean and variance that go with it]), and Adam's rate."""
    if estimator == "rebar":  # log temperature and scale; the level of f
        return [torch.tensor([math.log(TEMPERATURE), 1.0])], torch.zeros(2), 0.01
    if estimator in ("input_dependent", "relax"):  # a small network; what it predicts is standardised
        n_inputs = n_bits if estimator == "input_dependent" else 2 * n_bits
        return parameters((n_inputs, HIDDEN, 1)), torch.tensor([0.0, 1.0]), 1e-3
    return [], torch.zeros(2), None


def loss(params, learnt, running, x, eps, estimator):
    """A scalar whose gradient with respect to params and learnt is the estimate, and the next running numbers."""
    half = len(params) // 2
    encoder, decoder = params[:half], params[half:]
    logits = mlp(encoder, x)  # B, K
    kl = (torch.sigmoid(logits) * logits - F.softplus(logits)).sum(1).mean() + math.log(2) * logits.shape[1]
    logit = torch.log(eps) - torch.log1p(-eps)  # S, B, K
    if estimator == "gumbel_softmax":
        y = torch.sigmoid((logits + logit) / TEMPERATURE)
        return negative_log_likelihood(decoder, y, x).mean() + kl, running
    own = logits.detach()
    p = torch.sigmoid(own)
    none = torch.sigmoid(-own)
    z = (eps > none).to(x.dtype)
    graph = negative_log_likelihood(decoder, z, x)  # S, B
    f, score, learning = graph.detach(), z - p, 0.0

    def at(z):
        return negative_log_likelihood([one.detach() for one in decoder], z, x)  # S, B

    def slope(y, temperature):
        """f at y, and its slope in the odds with the noise held, less that with z held: (S, B) and (S, B, K)."""
        dy, fy = torch.func.grad(lambda y: (lambda v: (v.sum(), v))(at(y)), has_aux=True)(y)
        return fy, dy * y * (1 - y) / temperature * ratio

    if estimator in ("rebar", "relax"):
        odds = own + logit
        ratio = torch.where(z > 0.5, none / eps, p / (1 - eps))
    if estimator == "score_function":
        draws = f[..., None] * score
    elif estimator == "leave_one_out":
        draws = (f - (f.sum(0) - f) / (len(f) - 1))[..., None] * score
    elif estimator == "input_dependent":
        baseline = running[0] + running[1].sqrt() * mlp(learnt, own)[:, 0]  # B
        draws = (f - baseline.detach())[..., None] * score
        running = follow(running, f)
        learning = ((baseline - f.mean(0)) ** 2).mean() / running[1]
    elif estimator == "arm":
        draws = 0.5 * (f - at((1 - eps > none).to(x.dtype)).detach())[..., None] * (2 * eps - 1)
    elif estimator == "disarm":
        other = (1 - eps > none).to(x.dtype)
        draws = 0.5 * (f - at(other).detach())[..., None] * torch.maximum(p, none) * (z - other)
    elif estimator == "rebar":
        theta, level = learnt[0].detach(), running[0]
        nudge = torch.tensor([1.0, math.exp(NUDGE)], dtype=x.dtype)
        temperature = (torch.exp(theta[0]) * nudge).repeat_interleave(len(eps))[:, None, None]  # 2 S, 1, 1
        ratio = ratio.repeat(2, 1, 1)
        fy, paths = slope(torch.sigmoid(odds.repeat(2, 1, 1) / temperature), temperature)
        here, beside = (paths - (fy - level)[..., None] * score.repeat(2, 1, 1)).chunk(2)
        draws = (f - level)[..., None] * score + theta[1] * here
        twice = 2 * draws / f.numel()
        slopes = torch.stack([(twice * (theta[1] / NUDGE) * (beside - here)).sum(), (twice * here).sum()])
        learning = (learnt[0] * slopes.detach()).sum()
        running = KEEP * running + (1 - KEEP) * f.mean()
    elif estimator == "relax":
        fy, path = slope(torch.sigmoid(odds / TEMPERATURE), TEMPERATURE)
        left, std = (f - fy).detach(), running[1].sqrt()

        def surrogate(odds):
            inputs = torch.cat([odds, own.expand_as(odds)], 2).flatten(0, 1)
            c = running[0] + std * mlp(learnt, inputs).view(left.shape)
            return c.sum(), c

        dc, c = torch.func.grad(surrogate, has_aux=True)(odds)
        g = (left - c)[..., None] * score + path.detach() + dc * ratio
        draws = g.detach()
        running = follow(running, left)
        learning = (g**2).sum() / left.numel() / running[1]
    return graph.mean() + (logits * draws.mean(0).detach()).sum() / len(x) + kl + learning, running


def follow(running, values):
    """The running mean and variance, with the values taken in."""
    mean, variance = running
    moved = values.mean() - mean
    variance = KEEP * (variance + (1 - KEEP) * moved**2) + (1 - KEEP) * values.var(unbiased=False)
    return torch.stack([mean + (1 - KEEP) * moved, variance])


def bits_gradient(sizes, batch_size, estimator, seed=0, compiled=False):
    """-> run(): one gradient on the next minibatch, and a step of what the estimator learns."""
    torch.manual_seed(seed)
    n_bits = sizes[len(sizes) // 2]
    params, data = parameters(sizes, seed), torch.from_numpy(pixels(N_ROWS, sizes[0], binary=True))
    learnt, running, rate = learners(estimator, n_bits)
    optimizer = torch.optim.Adam([one.requires_grad_() for one in learnt], lr=rate, fused=True) if learnt else None
    noise_shape, done = (2 if estimator == "leave_one_out" else 1, batch_size, n_bits), 0

    def gradients(params, learnt, running, x):
        eps = torch.rand(noise_shape).clamp_(2.0**-25)
        return loss(params, learnt, running, x.float(), eps, estimator)

    def eager(params, learnt, running, x):
        value, running = gradients(params, learnt, running, x)
        return torch.autograd.grad(value, [*params, *learnt]), running.detach()

    @torch.compile(dynamic=False, options={"cpp_wrapper": True})
    def in_one(params, learnt, running, x):
        both = torch.func.grad_and_value(gradients, argnums=(0, 1), has_aux=True)
        (first, second), (_, running) = both(params, learnt, running, x)
        return [*first, *second], running

    if not compiled:
        params = [one.requires_grad_() for one in params]

    def run():
        nonlocal running, done
        start = done % (N_ROWS // batch_size) * batch_size
        done += 1
        own = [one.detach() for one in learnt] if compiled else learnt
        grads, running = (in_one if compiled else eager)(params, own, running, data[start : start + batch_size])
        if learnt:
            for one, grad in zip(learnt, grads[len(params) :]):
                one.grad = grad
            optimizer.step()
        return grads

    return run
