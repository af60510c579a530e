"""What the benchmark compares against, in JAX: a training step, gradient moments, an importance-weighted likelihood.

The model is the same everywhere: tanh layers, a diagonal Gaussian q(z|x) from the encoder's [mu, logvar], the
Bernoulli likelihood from logits, the analytic KL, float32. The step is one `jit`: minibatch out of the resident data,
noise, loss, gradients and Adam, with parameters and optimizer state donated. `steps` > 1 runs that many steps in one
`lax.scan`, which takes Python and dispatch out of the loop.

Run it in a fresh process: XLA reads NPROC (its number of threads) at import and ignores OMP_NUM_THREADS.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

N_ROWS = 5000
ONES = 0.13  # the share of ones in binarized MNIST


def versions():
    return {"jax": jax.__version__, "jaxlib": jax.lib.__version__, "device": str(jax.devices()[0])}


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
        h = h @ params[i] + params[i + 1]
        if i + 2 < len(params):
            h = jnp.tanh(h)
    return h


def softplus(y):
    return jnp.maximum(y, 0) + jnp.log1p(jnp.exp(-jnp.abs(y)))


def negative_log_likelihood(decoder, z, x):
    """-log p(x|z): z (S, B, K), x (B, D) -> (S, B)."""
    logits = mlp(decoder, z.reshape(-1, z.shape[-1])).reshape(*z.shape[:2], -1)
    return jnp.sum(softplus(logits) - x * logits, -1)


def surrogate(lam, decoder, x, eps, estimator):
    """A scalar whose gradient with respect to lam (B, 2K) is the estimate; eps (S, B, K)."""
    mu, logvar = jnp.split(lam, 2, 1)
    kl = 0.5 * jnp.sum(mu * mu + jnp.exp(logvar) - 1 - logvar) / len(x)
    z = mu + jnp.exp(0.5 * logvar) * eps
    if estimator == "reparameterization":
        return negative_log_likelihood(decoder, z, x).mean() + kl
    z = lax.stop_gradient(z)
    f = negative_log_likelihood(decoder, z, x)
    if estimator == "leave_one_out":
        f = f - (f.sum(0) - f) / (len(f) - 1)
    log_q = -0.5 * jnp.sum((z - mu) ** 2 * jnp.exp(-logvar) + logvar, -1)
    return (f * log_q).mean() + kl


def loss(params, x, eps):
    """Negative ELBO in nats, averaged over the batch: x (B, D), eps (1, B, K)."""
    half = len(params) // 2
    return surrogate(mlp(params[:half], x), params[half:], x, eps, "reparameterization")


def train_step(sizes, batch_size, binary, seed=0, steps=1):
    """-> step(): `steps` steps, each on the next minibatch (loss, gradients, Adam at 1e-3); returns the last loss."""
    params = [jnp.asarray(a) for a in initial_parameters(sizes, seed)]
    data = jnp.asarray(pixels(N_ROWS, sizes[0], binary))
    noise_shape = (1, batch_size, sizes[len(sizes) // 2])
    zeros = [[jnp.zeros_like(p) for p in params] for _ in range(2)]
    state = (params, *zeros, jax.random.key(seed), jnp.zeros((), jnp.int32))

    def one(state, data):
        params, first, second, key, done = state
        x = lax.dynamic_slice_in_dim(data, done % (N_ROWS // batch_size) * batch_size, batch_size)
        key, subkey = jax.random.split(key)
        eps = jax.random.normal(subkey, noise_shape)
        value, grads = jax.value_and_grad(loss)(params, x.astype(jnp.float32), eps)
        t = (done + 1).astype(jnp.float32)
        rate, unbias = 1e-3 / (1 - 0.9**t), 1 / (1 - 0.999**t)
        first = [0.9 * m + 0.1 * g for m, g in zip(first, grads)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, grads)]
        params = [p - rate * m / (jnp.sqrt(v * unbias) + 1e-8) for p, m, v in zip(params, first, second)]
        return (params, first, second, key, done + 1), value

    def many(state, data):
        state, values = lax.scan(lambda s, _: one(s, data), state, length=steps)
        return state, values[-1]

    advance = jax.jit(one if steps == 1 else many, donate_argnums=0)

    def step():
        nonlocal state
        state, value = advance(state, data)
        return jax.block_until_ready((state, value))[1]

    return step


def gradient_moments(estimator, n_draws, seed=0, chunk=1):
    """-> run(): mean and second moment of each encoder parameter's gradient over n_draws draws of one batch's noise.

    A scan over draws (chunk=1), or over chunks of draws that are batched with vmap.
    """
    if n_draws % chunk:
        raise ValueError(f"chunk={chunk} must divide n_draws={n_draws}")
    params = [jnp.asarray(a) for a in initial_parameters((784, 500, 20, 500, 784), seed)]
    data = jnp.asarray(pixels(100, 784, binary=True), jnp.float32)
    noise_shape = (2 if estimator == "leave_one_out" else 1, 100, 20)

    @jax.jit
    def moments(encoder, decoder, x, key):
        def gradient(key):
            eps = jax.random.normal(key, noise_shape)
            return jax.grad(lambda e: surrogate(mlp(e, x), decoder, x, eps, estimator))(encoder)

        def add_draw(totals, key):
            grads = gradient(key)
            return [(s + g, q + g * g) for (s, q), g in zip(totals, grads)], None

        def add_chunk(totals, keys):
            grads = jax.vmap(gradient)(keys)
            return [(s + g.sum(0), q + (g * g).sum(0)) for (s, q), g in zip(totals, grads)], None

        keys = jax.random.split(key, n_draws)
        totals = [(jnp.zeros_like(p), jnp.zeros_like(p)) for p in encoder]
        totals, _ = lax.scan(*(add_draw, totals, keys) if chunk == 1 else (add_chunk, totals, keys.reshape(-1, chunk)))
        return [s / n_draws for s, _ in totals], [q / n_draws for _, q in totals]

    keys = (jax.random.key(i) for i in itertools.count(seed))
    return lambda: jax.block_until_ready(moments(params[:4], params[4:], data, next(keys)))


def log_likelihood(n_points, n_samples, chunk, seed=0):
    """-> run(): (n_points,) log-mean-exp of n_samples importance weights, `chunk` rows (points x samples) at a time."""
    points, samples = max(1, chunk // n_samples), min(chunk, n_samples)
    if n_points % points or n_samples % samples or points * samples != chunk:
        raise ValueError(
            f"chunk={chunk} rows must divide {n_samples} samples, or be whole points that divide {n_points}"
        )
    params = [jnp.asarray(a) for a in initial_parameters((784, 200, 200, 50, 200, 200, 784), seed)]
    data = jnp.asarray(pixels(n_points, 784, binary=True), jnp.float32)

    @jax.jit
    def estimate(encoder, decoder, data, key):
        def of_points(x_and_key):
            x, key = x_and_key
            mu, logvar = jnp.split(mlp(encoder, x), 2, 1)

            def log_weights(key):
                eps = jax.random.normal(key, (points, samples, 50))
                z = mu[:, None] + jnp.exp(0.5 * logvar)[:, None] * eps
                log_px = -negative_log_likelihood(decoder, z, x[:, None])
                return log_px + 0.5 * (jnp.sum(eps * eps - z * z, 2) + logvar.sum(1, keepdims=True))

            log_w = lax.map(log_weights, jax.random.split(key, n_samples // samples))  # (chunks, points, samples)
            return jax.nn.logsumexp(log_w, (0, 2)) - np.log(n_samples)

        blocks = data.reshape(-1, points, 784)
        return lax.map(of_points, (blocks, jax.random.split(key, len(blocks)))).reshape(-1)

    keys = (jax.random.key(i) for i in itertools.count(seed))
    return lambda: jax.block_until_ready(estimate(params[:6], params[6:], data, next(keys)))
