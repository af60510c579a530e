"""What the benchmark compares against, in PyTorch.

A training step, gradient moments, an importance-weighted likelihood.

The model is the same everywhere: tanh layers, a diagonal Gaussian q(z|x) from the encoder's [mu, logvar], the
Bernoulli likelihood from logits, the analytic KL, float32. The step is offered eager (fused Adam) and compiled
(`torch.compile`); the compiled one is the fastest arrangement found: one graph for loss and gradients, behind a C++
wrapper, then the kernel of fused Adam called directly, without the optimizer's Python bookkeeping.

Run it in a fresh process: OMP_NUM_THREADS is read at import. A step on two threads slows down by far more than
a factor of two as soon as another process wants one of the cores (threads that wait, spin); OMP_WAIT_POLICY=PASSIVE
avoids that and costs a little on an idle machine.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

N_ROWS = 5000
ONES = 0.13  # the share of ones in binarized MNIST


def versions():
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def initial_parameters(sizes, seed=0):
    """[W0, b0, W1, b1, ...], encoder then decoder; the encoder's last layer is 2K wide. NumPy, equal in all peers."""
    rng = np.random.default_rng(seed)
    widths = list(zip(sizes[:-1], sizes[1:]))
    last = len(widths) // 2 - 1
    widths[last] = (widths[last][0], 2 * widths[last][1])
    return [
        a
        for n_in, n_out in widths
        for a in (rng.normal(0, n_in**-0.5, (n_in, n_out)).astype(np.float32), np.zeros(n_out, np.float32))
    ]


def pixels(n_rows, n_features, binary, seed=1):
    """(n_rows, n_features): uniform float32 in [0, 1], or uint8 with 13% ones. NumPy, equal in all peers."""
    u = np.random.default_rng(seed).random((n_rows, n_features), dtype=np.float32)
    return (u < ONES).astype(np.uint8) if binary else u


def mlp(params, h):
    for i in range(0, len(params), 2):
        h = torch.addmm(params[i + 1], h, params[i])
        if i + 2 < len(params):
            h = torch.tanh(h)
    return h


def negative_log_likelihood(decoder, z, x):
    """-log p(x|z): z (S, B, K), x (B, D) -> (S, B)."""
    logits = mlp(decoder, z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def surrogate(lam, decoder, x, eps, estimator):
    """A scalar whose gradient with respect to lam (B, 2K) is the estimate; eps (S, B, K)."""
    mu, logvar = lam.chunk(2, 1)
    kl = 0.5 * (mu * mu + logvar.exp() - 1 - logvar).sum() / len(x)
    z = mu + torch.exp(0.5 * logvar) * eps
    if estimator == "reparameterization":
        return negative_log_likelihood(decoder, z, x).mean() + kl
    with torch.no_grad():
        z = z.detach()
        f = negative_log_likelihood(decoder, z, x)
        if estimator == "leave_one_out":
            f = f - (f.sum(0) - f) / (len(f) - 1)
    log_q = -0.5 * ((z - mu) ** 2 * torch.exp(-logvar) + logvar).sum(-1)
    return (f * log_q).mean() + kl


def loss(params, x, eps):
    """Negative ELBO in nats, averaged over the batch: x (B, D), eps (1, B, K)."""
    half = len(params) // 2
    return surrogate(mlp(params[:half], x), params[half:], x, eps, "reparameterization")


def train_step(sizes, batch_size, binary, seed=0, compiled=False):
    """-> step(): one step on the next minibatch (loss, gradients, Adam at 1e-3); returns the loss."""
    torch.manual_seed(seed)
    params = [torch.from_numpy(a) for a in initial_parameters(sizes, seed)]
    data = torch.from_numpy(pixels(N_ROWS, sizes[0], binary))
    noise_shape = (1, batch_size, sizes[len(sizes) // 2])
    n_batches, done = N_ROWS // batch_size, 0

    def next_batch():
        nonlocal done
        start = done % n_batches * batch_size
        done += 1
        return data[start : start + batch_size]

    if not compiled:
        optimizer = torch.optim.Adam([p.requires_grad_() for p in params], lr=1e-3, fused=True)

        def step():
            optimizer.zero_grad()
            value = loss(params, next_batch().float(), torch.randn(noise_shape))
            value.backward()
            optimizer.step()
            return value.detach()

        return step

    @torch.compile(dynamic=False, options={"cpp_wrapper": True})
    def gradients(params, x):
        return torch.func.grad_and_value(loss)(params, x.float(), torch.randn(noise_shape))

    first, second = ([torch.zeros_like(p) for p in params] for _ in range(2))
    counts = [torch.zeros(()) for _ in params]

    def compiled_step():
        grads, value = gradients(params, next_batch())
        torch._foreach_add_(counts, 1)
        torch._fused_adam_(
            params,
            grads,
            first,
            second,
            [],
            counts,
            lr=1e-3,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
        return value

    return compiled_step


def gradient_moments(estimator, n_draws, seed=0, hoisted=True):
    """-> run(): mean and second moment of each encoder parameter's gradient over n_draws draws of one batch's noise.

    hoisted: the encoder's forward pass, the same for every draw, is done once (as XLA does by itself).
    """
    params = [torch.from_numpy(a) for a in initial_parameters((784, 500, 20, 500, 784), seed)]
    encoder, decoder = [p.requires_grad_() for p in params[:4]], params[4:]
    x = torch.from_numpy(pixels(100, 784, binary=True)).float()
    noise_shape = (2 if estimator == "leave_one_out" else 1, 100, 20)

    def run():
        sums, squares = ([torch.zeros_like(p) for p in encoder] for _ in range(2))
        lam = mlp(encoder, x)
        for _ in range(n_draws):
            if not hoisted:
                lam = mlp(encoder, x)
            value = surrogate(lam, decoder, x, torch.randn(noise_shape), estimator)
            for g, s, q in zip(torch.autograd.grad(value, encoder, retain_graph=hoisted), sums, squares):
                s.add_(g)
                q.addcmul_(g, g)
        return [s / n_draws for s in sums], [q / n_draws for q in squares]

    return run


def log_likelihood(n_points, n_samples, chunk, seed=0, compiled=False):
    """-> run(): (n_points,) log-mean-exp of n_samples importance weights, `chunk` rows (points x samples) at a time."""
    points, samples = max(1, chunk // n_samples), min(chunk, n_samples)
    if n_points % points or n_samples % samples or points * samples != chunk:
        raise ValueError(
            f"chunk={chunk} rows must divide {n_samples} samples, or be whole points that divide {n_points}"
        )
    params = [torch.from_numpy(a) for a in initial_parameters((784, 200, 200, 50, 200, 200, 784), seed)]
    encoder, decoder = params[:6], params[6:]
    data = torch.from_numpy(pixels(n_points, 784, binary=True)).float()

    def log_weights(x, mu, logvar):
        eps = torch.randn(points, samples, 50)
        z = mu[:, None] + torch.exp(0.5 * logvar)[:, None] * eps
        logits = mlp(decoder, z.flatten(0, 1)).view(points, samples, 784)
        log_px = torch.matmul(logits, x[:, :, None]).squeeze(2) - F.softplus(logits).sum(2)
        return log_px + 0.5 * ((eps * eps - z * z).sum(2) + logvar.sum(1, keepdim=True))  # (points, samples)

    if compiled:
        log_weights = torch.compile(log_weights, dynamic=False, options={"cpp_wrapper": True})

    @torch.inference_mode()
    def run():
        rows = []
        for x in data.split(points):
            mu, logvar = mlp(encoder, x).chunk(2, 1)
            log_w = torch.cat([log_weights(x, mu, logvar) for _ in range(n_samples // samples)], 1)
            rows.append(log_w.logsumexp(1) - np.log(n_samples))
        return torch.cat(rows)

    return run
