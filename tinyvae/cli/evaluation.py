"""The command `evaluate`: how good a saved model is, each number with its error and its cost."""

import contextlib
import json
import math
import os
import time
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae.cli import results, words
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


class Report:
    """What has been measured so far: numbers in the order of the table, and sentences."""

    def __init__(self, bar):
        self.rows, self.sentences, self.bar = [], [], bar

    @contextlib.contextmanager
    def part(self, name, passes):
        """A context in which one part is measured, which takes so many decoder passes; warnings become sentences."""
        self.bar.set_description(name)
        first, start = len(self.rows), time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        self.bar.update()
        self.sentences += [f"Warning: {warning.message}." for warning in caught]
        if len(self.rows) > first:  # what a part costs stands beside its first number
            self.rows[first] |= {"decoder_passes": passes, "seconds": time.perf_counter() - start}

    def add(self, key, name, value, error=math.nan, unit="nats"):
        """A number, its standard error (NaN for none) and its unit."""
        self.rows.append({"key": key, "name": name, "value": float(value), "error": float(error), "unit": unit})

    def cost(self, key, passes):
        """How many decoder passes a part turned out to take, each forward and back, whose first number it is."""
        next(row for row in self.rows if row["key"] == key)["decoder_passes"] = passes

    def say(self, sentence):
        """A sentence below the table."""
        self.sentences.append(sentence)

    def show(self):
        """Print the table and the sentences."""
        header, table = ("quantity", "value", "error", "unit", "decoder passes", "seconds"), []
        for row in self.rows:
            cost = f"{row['decoder_passes']:,}" if "seconds" in row else ""
            table.append((row["name"], *_digits(row["value"], row["error"]), row["unit"], cost, _seconds(row)))
        words.print_table(header, *table)
        print()
        words.say(
            "Errors are standard errors, the model held: of other data points, or of other draws. A decoder pass "
            "decodes one code; what a part took stands at its first number."
        )
        for sentence in self.sentences:
            print()
            words.say(sentence)


def evaluate(args):
    """Evaluate a saved model: a table, what it says in words; writes evaluation.json and evaluation.png into --out."""
    from tinyvae import plots

    vae = tv.VAE.load(args.model)
    tv.likelihoods.require_density(vae.likelihood, "tinyvae evaluate")
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
    words.say(
        f"{args.model}: {vae.likelihood.name}, {words.counted(vae.n_latents, 'latent')}. {source}: {len(x):,} training "
        f"rows, {len(x_test):,} held out, {len(points):,} of them for log p(x) and the rates."
    )
    with progress.bar(PARTS if args.annealed else PARTS - 2, "part", leave=False) as bar:
        report = Report(bar)
        _bound(report, vae, x, x_test, rng())
        found = _log_p(report, vae, points, args, rng())
        _annealed(report, vae, points[:CHAINED], found.value[:CHAINED], args.annealed, rng())
        kl = _rates(report, vae, points, rng())
        _space(report, vae, x, x_test, rng())
        _labels(report, vae, x, labels, x_test, labels_test, args.per_class, rng())
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
    results.write_figure(args, "evaluation.png", plots.evaluation(kl, found.effective, args.n_samples))
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
        same = (settings["n_latents"], tuple(settings["hidden"])) == (vae.n_latents, tuple(vae.hidden))
        known = str(settings["data"]), bool(settings["binarize"]), int(settings["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if same else None


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
        try:
            bits, levels = tv.evaluate.bits_per_pixel(vae, points, mean)
        except ValueError as error:
            report.say(f"Bits per pixel are left out: {error}.")
        else:
            report.add("bits_per_pixel", "bits per pixel", *bits, unit="bits")
            if levels > 1:
                report.say(
                    f"Bits per pixel are of densities of pixels that were divided by {levels}: log {levels} nats a "
                    "pixel are added, the Jacobian. Without uniform noise of one step on the pixels they are no length "
                    "of a code."
                )
    half = np.mean(np.nan_to_num(found.error) ** 2) / 2
    low = f"by {half:.2f} nats (half the mean squared error of a point), or more where q(z | x) is narrower than the "
    low += "posterior"
    if np.mean(found.effective < min(FEW, args.n_samples / 10)) > SHARE:  # where the errors are worthless, too
        low = "by more than can be told where so few samples are effective"
    report.say(f"log p(x) is low on average, {low}; its error is the standard error over data points.")
    return found


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
    with report.part("rates", len(points) * RATE_SAMPLES):
        found = tv.evaluate.rates(vae, points, rng, RATE_SAMPLES)
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
    if not hasattr(vae.prior, "quantile"):
        report.say(f"Continuity and completeness are left out: the prior {vae.prior.name!r} has no quantile.")
        return
    with report.part("continuity", 3 * DRAWS):
        report.add("continuity", "continuity", *tv.evaluate.continuity(vae, rng, n_draws=DRAWS), unit="")
    with report.part("completeness", DRAWS):
        held_out, _ = _some(x_test, None, DRAWS, rng)
        found = tv.evaluate.completeness(vae, x, held_out, rng, n_draws=DRAWS)
        report.add("completeness", "completeness", *found, unit="")
    report.say(
        "Continuity: 1 for images that follow their codes as along a straight line, 0 for cliffs. Completeness: how "
        "near images decoded from the prior lie to the training data; 1: as near as held-out data do, more: nearer, as "
        "averages do that are smoother than data."
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


# --- words ------------------------------------------------------------------------------------------------


def _digits(value, error):
    """A number and its error, in as many decimals as two digits of the error take."""
    if not math.isfinite(error) or error <= 0:
        return f"{value:.6g}" if float(value).is_integer() else words.number(value), ""
    decimals = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{decimals}f}", f"{error:.{decimals}f}"


def _seconds(row):
    return f"{row['seconds']:.1f}" if "seconds" in row else ""
