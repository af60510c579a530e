"""The command `evaluate`: how good a saved model is, each number with its error and its cost."""

import json
import math
import os
from argparse import Namespace
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae.cli import codebook, results, words
from tinyvae.cli.report import Report, mean_of
from tinyvae.evaluate.discrete import MOST_STATES
from tinyvae.evaluate.log_likelihood import FEW, SHARE
from tinyvae.machine import progress

__all__ = ["evaluate"]

MOST = 10_000  # rows of either kind that the bound, the probe and completeness look at
BOUND_SAMPLES, RATE_SAMPLES = 5, 20  # a data point
DRAWS = 2000  # for continuity and completeness; and held-out rows for the latter, at most
TOLD = 2  # standard errors from which on a difference is called one
COLLAPSED = 0.05  # nats of KL, in all
PARTS = 8
LEAST = 4  # held-out rows
CHAINED = 20  # points for --annealed


def evaluate(args):
    """Evaluate a saved model: a table, what it says in words; writes evaluation.json and evaluation.png into --out."""
    from tinyvae import plots

    quantized = tv.models.kind_of(args.model) == "VQVAE"
    vae = (tv.VQVAE if quantized else tv.VAE).load(args.model)
    if not quantized:
        tv.likelihoods.require_density(vae.likelihood, "tinyvae evaluate")
    if args.annealed and vae.n_states < math.inf:
        raise ValueError(
            f"--annealed moves codes along a slope, and those of {args.model} have nothing between them: leave it out"
        )
    data, source = _data(args, vae)
    seeds = iter(np.random.SeedSequence(args.seed).spawn(8))  # a part that is left out changes no other

    def rng():
        return np.random.default_rng(next(seeds))

    chosen = rng()
    (x, labels), (x_test, labels_test) = (
        _some(*pair, MOST, chosen) for pair in ((data.train, data.train_labels), (data.test, data.test_labels))
    )
    points, _ = _some(x_test, None, args.points, chosen)
    x, x_test, points = (vae.check_data(one, args.data) for one in (x, x_test, points))
    if len(points) < LEAST:
        raise ValueError(
            f"{args.data}: holds out {words.counted(len(points), 'row')}, and no error can be told from fewer than "
            f"{LEAST}; give more data"
        )
    results.require(args, "evaluation.json", "evaluation.png")
    used = "" if quantized else f", {len(points):,} of them for log p(x) and the rates"
    words.say(
        f"{args.model}: {vae.likelihood.name}, {_codes(vae)}. {source}: {len(x):,} training rows, {len(x_test):,} held "
        f"out{used}."
    )
    with progress.bar(PARTS if args.annealed else PARTS - 2, "part", leave=False) as bar:
        report, streams = Report(bar), [rng() for _ in range(6)]
        if quantized:
            figure = plots.codes(*codebook.measure(report, vae, x, x_test))
        else:
            _bound(report, vae, x, x_test, streams[0])
            found = _log_p(report, vae, points, args, streams[1])
            _annealed(report, vae, points[:CHAINED], found.value[:CHAINED], args.annealed, streams[2])
            kl = _rates(report, vae, points, streams[3])
            figure = plots.evaluation(kl, found.effective, args.n_samples)
        _space(report, vae, x, x_test, streams[4])
        _labels(report, vae, x, labels, x_test, labels_test, args.per_class, streams[5])
    print()
    report.show()
    record = {
        "version": tv.__version__,
        "settings": words.settings(args),
        "rows": {"train": len(x), "held_out": len(x_test), "points": len(points)},
        "numbers": {row.pop("key"): row for row in report.rows},
        "words": report.sentences,
    }
    results.write_json(args, "evaluation.json", record)
    results.write_figure(args, "evaluation.png", figure)
    print()
    results.say_written(args)


# --- the data ---------------------------------------------------------------------------------------------


def _data(args, vae):
    """The Dataset, and where it is from in words; `args` get the name of what was found."""
    known, beside = _trained_on(args.model, vae), Path(args.model).with_name("train.json")
    found = Namespace(data=args.data, binarize=args.binarize, seed=args.seed)
    if args.data is None:
        found.data, found.binarize, found.seed = known or ("digits", False, args.seed)
        found.binarize |= args.binarize
        if known and found.data not in tv.datasets.names() and not os.path.exists(found.data):
            raise ValueError(f"as {beside} says, the model learnt from {found.data}, which is not there: give --data")
    data = words.dataset(found)
    if data.train.shape[1] != vae.n_features:
        raise ValueError(
            f"{found.data}: has rows of {data.train.shape[1]} values, but {args.model} is of {vae.n_features}; give "
            "--data of the kind that it was trained on"
        )
    args.data, args.binarize = found.data, found.binarize
    source, asked = found.data + ", binarized" * found.binarize, (found.data, found.binarize, found.seed)
    if known and known[: 2 + found.binarize] == asked[: 2 + found.binarize]:
        return data, f"It learnt from {source}, as {beside} says"
    return data, f"Data: {source}; {beside} does not say that it learnt from them"


def _trained_on(path, vae):
    """(data, binarize, seed) of the train.json beside a model, if it is of such a model; else None."""
    try:
        settings = json.loads(Path(path).with_name("train.json").read_text(encoding="utf-8"))["settings"]
        n_latents = settings.get("n_latents", settings.get("n_positions"))
        same = (n_latents, tuple(settings["hidden"])) == (vae.n_latents, tuple(vae.hidden))
        known = str(settings["data"]), bool(settings["binarize"]), int(settings["seed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return known if same else None


def _codes(vae):
    """What a model's codes are, in words."""
    if hasattr(vae, "codebook"):
        return f"{words.counted(vae.n_positions, 'position')}, {words.counted(vae.n_codes, 'code')}"
    if vae.code_size > vae.n_latents:
        return f"{words.counted(vae.n_latents, 'choice')} of {vae.family.n_ways} ways"
    return words.counted(vae.n_latents, "latent" if vae.n_states == math.inf else "bit")


def _some(x, labels, most, rng):
    """At most so many rows, drawn without replacement, in order; and their labels."""
    if len(x) <= most:
        return x, labels
    rows = np.sort(rng.choice(len(x), most, replace=False))
    return x[rows], labels if labels is None else labels[rows]


# --- the parts --------------------------------------------------------------------------------------------


def _bound(report, vae, x, x_test, rng):
    with report.part("bound", BOUND_SAMPLES * (len(x) + len(x_test))):
        found = tv.evaluate.generalization(vae, x, x_test, rng, BOUND_SAMPLES)
        report.add("negative_elbo", "negative ELBO, held out", *found.test)
        report.add("negative_elbo_train", "  of the training rows", *found.train)
        report.add("gap", "  held out - training", *found.gap)
    value, error = found.gap
    if value > TOLD * error:
        report.say(
            f"Held-out data cost {value:.2f} +- {error:.2f} nats more than the training rows, which it knows "
            "in part by heart. More data, fewer units or --patience help."
        )
    else:
        report.say(
            f"No sign of learning by heart: held out and training rows differ by {value:.2f} +- {error:.2f} nats."
        )


def _log_p(report, vae, points, args, rng):
    with report.part("log p(x)", len(points) * args.n_samples):
        found = tv.evaluate.log_likelihood(vae, points, args.n_samples, rng)
        mean, term = tv.evaluate.Estimate(*found.mean()), tv.likelihoods.term(points, vae.likelihood)
        name = "log p(x)" + ", of cross-entropies" * (term == "cross-entropy")
        report.add("log_likelihood", f"{name}, {args.n_samples:,} samples", *mean)
        middle, least = np.median(found.effective), found.effective.min()
        report.add("effective_median", "  effective samples, median", middle, unit="samples")
        report.add("effective_least", "  effective samples, least", least, unit="samples")
    exact = vae.n_states <= MOST_STATES
    if exact:
        mean = _exact(report, vae, points, found.value, name)
    report.add_bits(vae, points, mean)
    if exact:
        return found
    half = np.mean(np.nan_to_num(found.error) ** 2) / 2
    low = f"by {half:.2f} nats (half the mean squared error of a point), or more where q(z | x) is narrower than the "
    low += "posterior"
    if np.mean(found.effective < min(FEW, args.n_samples / 10)) > SHARE:  # where the errors are worthless, too
        low = "by more than can be told where so few samples are effective"
    report.say(f"log p(x) is low on average, {low}; its error is the standard error over data points.")
    return found


def _exact(report, vae, points, importance, name):
    """The sum over all states, and how far the importance samples are from it; the mean and its error."""
    with report.part("all states", vae.n_states):
        found = tv.evaluate.exact_log_likelihood(vae, points)
        mean, off = (mean_of(one) for one in (found, found - importance))
        report.add("exact_log_likelihood", f"{name}, all {vae.n_states:,} states", *mean)
        report.add("exact_gain", "  all states - importance samples", *off)
    report.say(
        f"log p(x) is exact, the sum over all {vae.n_states:,} states; importance samples say {off.value:.2f} +- "
        f"{off.error:.2f} nats less. The error is the standard error over data points."
    )
    return mean


def _annealed(report, vae, points, importance, n_steps, rng):
    """The same of a few points by annealed chains, and how far these may be off on data that the model draws."""
    if not n_steps:
        return
    with report.part("annealed", 0):
        found = tv.evaluate.annealed(vae, points, rng, n_steps=n_steps)
        report.add("annealed", f"log p(x) of {len(points)} points, {n_steps:,} temperatures", *found.mean())
        report.add("annealed_acceptance", "  moves accepted", found.acceptance.mean(), unit="")
        difference = found.value - importance
        gain = difference.mean(), difference.std(ddof=1) / math.sqrt(len(points))
        report.add("annealed_gain", "  annealed - importance samples, the same points", *gain)
    report.cost("annealed", found.passes * len(points))
    with report.part("sandwich", 0):
        both = tv.evaluate.sandwich(vae, len(points), rng, n_steps=n_steps)
        gap = both.means()["gap"]
        report.add("sandwich_gap", f"  from above - from below, {len(points)} simulated points", *gap)
    report.cost("sandwich_gap", both.passes * len(points))
    report.say(
        f"On data that the model draws, annealed chains are {gap[0]:.2f} +- {gap[1]:.2f} nats apart from above and "
        "from below, with the truth between them on average; of held-out data, as far as these are like its own."
    )


def _rates(report, vae, points, rng):
    exact = vae.n_states <= MOST_STATES
    with report.part("rates", vae.n_states if exact else len(points) * RATE_SAMPLES):
        method = "enumeration" if exact else "monte_carlo"
        found = tv.evaluate.rates(vae, points, rng, RATE_SAMPLES, method=method)
        over_data = found.over_data()
        for key, name in (
            ("rate", "rate R"),
            ("distortion", "distortion D"),
            ("information", "mutual information I"),
            ("aggregate_kl", "KL(q(z) || p(z))"),
        ):
            report.add(key, name, *over_data[key])
        units = tv.evaluate.active_units(vae, points)
        report.add("active_units", f"active units, of {vae.n_latents}", units.count, unit="")
    (low, high), kl = found.limits, round(found.aggregate_kl.value, 2) + 0.0  # no -0.00
    limits = "H - D <= I <= R" if found.bits else "I <= R and I <= H (p(x | z) is no probability: D sets no limit)"
    report.say(
        f"R = I + KL(q(z) || p(z)): of {found.rate.value:.2f} nats that a code costs, {found.information.value:.2f} "
        f"tell the {len(points):,} data points apart, and {kl:.2f} are because all codes "
        f"together are not spread as the prior is. {limits}: I lies between {low:.2f} and {high:.2f} nats, H = "
        f"{found.entropy:.2f} being the entropy of these points."
    )
    if found.rate.value < COLLAPSED:
        report.say(
            f"R is {found.rate.value:.3f} nats: the posterior has collapsed, the codes tell next to nothing about x. A "
            "smaller --beta, --beta-warmup or --free-bits help."
        )
    elif units.count < vae.n_latents:
        unclear = f", {units.unclear} of them within two errors of the threshold" if units.unclear else ""
        report.say(f"{units.count} of {vae.n_latents} latents move with the data (variance above 0.01{unclear}).")
    return np.concatenate(
        [vae.encode(points[i : i + MOST // 10]).kl_by_latent() for i in range(0, len(points), MOST // 10)]
    ).mean(axis=0)


def _space(report, vae, x, x_test, rng):
    continuous, said = vae.n_states == math.inf, ""
    if continuous and not hasattr(vae.prior, "quantile"):
        report.say(f"Continuity and completeness are left out: the prior {vae.prior.name!r} has no quantile.")
        return
    if continuous:
        with report.part("continuity", 3 * DRAWS):
            report.add("continuity", "continuity", *tv.evaluate.continuity(vae, rng, n_draws=DRAWS), unit="")
        said = "Continuity: 1 for images that follow their codes as along a straight line, 0 for cliffs. "
    with report.part("completeness", DRAWS):
        held_out, _ = _some(x_test, None, DRAWS, rng)
        found = tv.evaluate.completeness(vae, x, held_out, rng, n_draws=DRAWS)
        report.add("completeness", "completeness", *found, unit="")
    report.say(
        f"{said}Completeness: how near images decoded from the prior lie to the training data; 1: as near as held-out "
        "data do, more: nearer, as averages do that are smoother than data."
        + " Continuity is left out: codes have nothing between them."
        * (not continuous)
    )


def _labels(report, vae, x, labels, x_test, labels_test, per_class, rng):
    if labels is None or labels_test is None:
        return
    kept = np.isin(labels_test, labels)
    sizes = np.unique(labels, return_counts=True)[1]
    if len(sizes) < 2 or kept.sum() < 2:
        return
    per_class = min(per_class, int(sizes.min()))
    with report.part("probe", 0):
        found = tv.evaluate.probe(vae, x, labels, x_test[kept], labels_test[kept], per_class, rng)
        report.add("probe", f"labelled right, {words.counted(per_class, 'label')} a class", *found.codes, unit="")
        report.add("probe_pixels", "  from the pixels", *found.pixels, unit="")
        report.add("probe_gain", "  codes - pixels", *found.gain, unit="")
    value, error = found.gain
    told = f"With {words.counted(per_class, 'label')} a class, "
    if abs(value) > TOLD * error:
        told += f"the codes tell {'more' if value > 0 else 'less'} than the pixels to a linear classifier"
    else:
        told += "a linear classifier shows no clear difference between codes and pixels"
    report.say(f"{told}: {100 * found.codes.value:.1f}% right against {100 * found.pixels.value:.1f}%.")
