"""`tinyvae reproduce burda2016` in PyTorch: the same data, weights at the start, schedule and score.

    python tests/bench/burda_torch.py                        the short recipe with one sample in the bound
    python tests/bench/burda_torch.py --n-samples 5 --minutes 60 --threads 2

Prints the bound on validation rows along the training, and at the end, or once the minutes are over, -log p(x) of the
validation rows with its standard error. Nothing but the gradients, Adam, the shuffling and the noise is PyTorch's own.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tinyvae as tv  # noqa: E402
from tinyvae.reproduce import burda2016  # noqa: E402


def mlp(params, part, h):
    """Tanh layers, the last one linear: h (n, n_in) -> (n, n_out)."""
    last = max(int(name.removeprefix(f"{part}.W")) for name in params if name.startswith(f"{part}.W"))
    for i in range(last + 1):
        h = torch.addmm(params[f"{part}.b{i}"], h, params[f"{part}.W{i}"])
        h = torch.tanh(h) if i < last else h
    return h


def log_weights(params, x, n_samples, analytic=False):
    """log p(x, z) - log q(z | x), x (B, D) -> (S, B); with the KL in closed form if `analytic`."""
    mu, logvar = mlp(params, "encoder", x).chunk(2, 1)
    eps = torch.randn(n_samples, *mu.shape)
    z = mu + torch.exp(0.5 * logvar) * eps  # S, B, K
    logits = mlp(params, "decoder", z.flatten(0, 1)).unflatten(0, z.shape[:2])  # S, B, D
    log_px = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    if analytic:
        return log_px - 0.5 * (mu * mu + logvar.exp() - 1 - logvar).sum(1)
    return log_px + 0.5 * (eps * eps + logvar - z * z).sum(-1)


def loss(params, x, n_samples):
    """The ELBO's with one sample, with more the importance-weighted bound's, nats."""
    if n_samples == 1:
        return -log_weights(params, x, 1, analytic=True).mean()
    return -(torch.logsumexp(log_weights(params, x, n_samples), 0) - math.log(n_samples)).mean()


@torch.no_grad()
def log_likelihood(params, x, n_samples, at_once=500):
    """log p(x) of each row, by importance sampling: x (n, D) uint8 -> (n,)."""
    found = []
    for i in range(0, len(x), max(1, at_once // n_samples)):
        rows = x[i : i + max(1, at_once // n_samples)].float()
        parts = [
            torch.logsumexp(log_weights(params, rows, min(at_once, n_samples - s)).double(), 0)
            for s in range(0, n_samples, at_once)
        ]
        found.append(torch.logsumexp(torch.stack(parts), 0) - math.log(n_samples))
    return torch.cat(found).numpy()


def main():
    """Train and score."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", choices=list(burda2016.RECIPES), default="short")
    parser.add_argument("--n-samples", type=int, default=1, metavar="S", help="in the bound")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="X", help="for the training, at most")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    parser.add_argument("--rows", type=int, metavar="N", help="score only the first N validation rows")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    settings = burda2016.RECIPES[args.recipe]
    x, valid = burda2016.rows_of_data(settings, args.seed)
    vae = tv.VAE(x.shape[1], settings.n_latents, settings.hidden, seed=args.seed)
    vae.start_at(x)
    params = {name: torch.tensor(np.array(view)).requires_grad_() for name, view in vae.params.items()}
    x, valid = torch.from_numpy(x), torch.from_numpy(valid)
    n_batches = -(-len(x) // settings.batch_size)
    rate, wanted = burda2016.rate(settings, n_batches), burda2016.measured_at(settings)
    adam = torch.optim.Adam(params.values(), betas=(settings.beta1, 0.999), eps=settings.epsilon)
    print(f"torch {torch.__version__}, {args.threads} threads, {settings}", flush=True)
    began, step = time.perf_counter(), 0
    for epoch in range(1, settings.epochs + 1):
        order, total = torch.randperm(len(x)), 0.0
        for i in range(0, len(x), settings.batch_size):
            step += 1
            adam.param_groups[0]["lr"] = rate(step)
            adam.zero_grad()
            value = loss(params, x[order[i : i + settings.batch_size]].float(), args.n_samples)
            value.backward()
            adam.step()
            total += value.item()
            if over := time.perf_counter() - began > 60 * args.minutes:
                break
        if over or epoch in wanted:
            bound, seconds = -log_likelihood(params, valid, args.n_samples).mean(), time.perf_counter() - began
            print(
                f"epoch {epoch}/{settings.epochs}, step {step}: {seconds:.0f} s, rate {rate(step):.2g}, "
                f"loss {total / (step - (epoch - 1) * n_batches):.2f}, bound on validation {bound:.2f}",
                flush=True,
            )
        if over:
            break
    score = -log_likelihood(params, valid[: args.rows], settings.score_samples)
    error = score.std(ddof=1) / np.sqrt(len(score))
    print(f"-log p(x) of {len(score)} rows, {settings.score_samples} samples: {score.mean():.3f} +- {error:.3f} nats")
    found = tv.VAE(x.shape[1], settings.n_latents, settings.hidden, seed=args.seed)
    for name, view in found.params.items():
        view[:] = params[name].detach().numpy()
    ours = -tv.evaluate.log_likelihood(found, valid.numpy()[: args.rows], 100, np.random.default_rng(0)).value.mean()
    theirs = -log_likelihood(params, valid[: args.rows], 100).mean()
    print(f"the same model with 100 samples: {theirs:.3f} here, {ours:.3f} by tinyvae")


if __name__ == "__main__":
    main()
