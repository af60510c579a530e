"""The part of `tinyvae evaluate` that is of a VQ-VAE: what codes leave open, how many are in use, what they cost."""

import numpy as np

import tinyvae as tv
from tinyvae.cli.report import mean_of
from tinyvae.models.quantization import perplexity

__all__ = ["measure"]

ROWS = 1000  # of data that are decoded at once


def measure(report, vqvae, x, x_test):
    """Put a VQ-VAE's own numbers into a report.

    Parameters
    ----------
    report : Report
    vqvae : VQVAE
    x, x_test : array (n, D), array (m, D)
        Training and held-out rows.

    Returns
    -------
    use : array (n_codes,)
        How often the held-out rows have each code.
    perplexities : array (n_positions,)
        Of each position by itself.
    """
    with report.part("reconstruction", len(x) + len(x_test)):
        (loss, square), (train, _) = (_errors(vqvae, rows) for rows in (x_test, x))
        term = tv.likelihoods.term(x_test, vqvae.likelihood)
        density = term != "squared error"
        gap = loss.mean() - train.mean(), np.hypot(mean_of(loss).error, mean_of(train).error)
        unit = "nats" if density else ""
        report.add("reconstruction", f"{term}, held out", *mean_of(loss), unit=unit)
        report.add("reconstruction_train", "  of the training rows", *mean_of(train), unit=unit)
        report.add("gap", "  held out - training", *gap, unit=unit)
        if density:
            report.add("squared_error", "squared error, held out", *mean_of(square), unit="")
    with report.part("codes", 0):
        codes, prior = vqvae.encode(x_test), vqvae.codes_prior
        use = tv.models.quantization.use(codes, vqvae.n_codes)
        apart = perplexity(use)
        report.add("perplexity", f"perplexity, of {vqvae.n_codes} codes", *_perplexity(codes, use.sum(axis=0)), unit="")
        report.add("perplexity_least", "  of a position alone, least", apart.min(), unit="")
        report.add("perplexity_most", "  of a position alone, most", apart.max(), unit="")
        in_use = (vqvae.use(x).sum(axis=0) > 0).sum()
        report.add("codes_in_use", "codes in use by the training rows", in_use, unit="")
        cost = -prior.log_prob(codes).astype("float64")
        kind = prior.name.replace("_", " ")
        report.add("codes_cost", f"cost of the codes, prior {kind}", *mean_of(cost))
        if density:
            report.add("negative_elbo", f"  cost + {term}", *mean_of(loss + cost))
            report.add_bits(vqvae, x_test, mean_of(-loss - cost), "  the same, bits per pixel")
    even = vqvae.n_positions * np.log(vqvae.n_codes)
    report.say(
        f"Perplexity: how many codes, used alike, would be as uncertain. Written down by their prior ({kind}), codes "
        f"cost {cost.mean():.2f} nats a data point, of {even:.2f} where all are alike. There are no rates and no "
        "log p(x): nothing is drawn."
    )
    return use.sum(axis=0), apart


def _errors(vqvae, x):
    """Each row's reconstruction term and squared error, (n,) each, float64."""
    losses, squares = [], []
    for start in range(0, len(x), ROWS):
        some = x[start : start + ROWS].astype(vqvae.dtype, copy=False)
        says = vqvae.decode(vqvae.encode(some))
        squares.append(np.square(some - says.mean, dtype="float64").sum(axis=1))
        losses.append(squares[-1] if vqvae.likelihood is tv.likelihoods.SquaredError else -says.log_prob(some))
    return np.concatenate(losses).astype("float64"), np.concatenate(squares)


def _perplexity(codes, use):
    """Of the codebook, and its standard error, to first order, of other data points."""
    surprise = -np.log(use[codes] / use.sum()).mean(axis=1)  # n: their mean is the entropy
    found = float(perplexity(use))
    return found, found * mean_of(surprise).error
