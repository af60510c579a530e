"""The command `rates`: a family of VAEs over beta, on the plane of rate and distortion."""

from dataclasses import replace
from pathlib import Path

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae import likelihoods
from tinyvae.cli import groups, results, words
from tinyvae.cli.types import count, number_above
from tinyvae.compare.family import LIKELIHOOD_SAMPLES

__all__ = ["add", "rates"]

LATENTS = 10
WIDE = 1.96  # standard errors to each side of a 95% interval
NAMES = ("rate", "distortion", "information", "aggregate_kl")
NEAR = 0.5  # nats below its most, from where an information is marked


def add(command):
    """Add the parser of rates.

    Parameters
    ----------
    command : function
        (name, summary, *examples) -> a Parser, as `parsers.build` has it.
    """
    d = replace(comparison.Settings(), n_latents=LATENTS)
    one = command(
        "rates",
        "Train a family of VAEs over beta, on the plane of rate and distortion; a table, a figure, a JSON file.",
        "",
        " --betas 0.5 1 2 4 --epochs 30",
        " --data my_images/ --likelihood continuous_bernoulli --hidden 200 --n-latents 20",
        " --latents binary --n-latents 12",
    )
    groups.add_data(one, binarize=False)  # a likelihood of black and white pixels always does
    groups.add_model(one, d)
    group = one.add_argument_group("training")
    group.add_argument(
        "--betas",
        type=number_above(0),
        nargs="+",
        default=comparison.BETAS,
        metavar="X",
        help="weights of the KL, a model each; from the least on, each starts from the weights of the one before",
    )
    group.add_argument(
        "--epochs",
        type=count(1, groups.MANY),
        default=d.epochs,
        metavar="N",
        help="passes over the training data, for each model; four times as many for the first, which starts afresh",
    )
    group.add_argument(
        "--batch-size", type=count(1, groups.MANY), default=d.batch_size, metavar="N", help="data points a step"
    )
    group.add_argument(
        "--rate",
        type=number_above(0),
        default=d.rate,
        metavar="X",
        help="Adam's first step size, in units of the parameters; in each model it falls to 0 along half a cosine",
    )


def rates(args):
    """Train a family of VAEs over beta, or go on with one that was interrupted.

    Prints tables of held-out and of training data, and what is known of the entropy; writes rates.json and rates.png
    into --out, and a checkpoint a model into its folder rates/.
    """
    from tinyvae import plots

    likelihood = likelihoods.resolve(args.likelihood)
    likelihoods.require_density(likelihood, "rates")
    results.require(args, "rates.json", "rates.png")
    args.binarize, bits = False, likelihoods.takes_bits(likelihood)
    data = given = words.dataset(args)
    if bits:
        data = comparison.binarized(data, args.seed)
        words.say(f"Each pixel is drawn once as black or white, with seed {args.seed}.")
    kinds = {"likelihood": likelihood, "latents": groups.latents(args), "prior": args.prior}
    vae = tv.VAE(data.train.shape[1], args.n_latents, args.hidden, seed=args.seed, **kinds)
    vae.image_shape = data.image_shape
    run = {name: getattr(args, name) for name in ("betas", "epochs", "rate", "batch_size", "seed")}
    folder = Path(args.out, "rates")
    try:
        members = comparison.family(vae, data.train, data.test, **run, folder=folder)
    except KeyboardInterrupt:
        if any(folder.glob("beta-*.npz")):
            args.kept = f"; the same command goes on after the last whole epoch, from {folder}"
        raise
    args.written.append(folder)
    low, high = comparison.entropy_limits(members, given.test if bits else None)
    without = comparison.without_code(data.train, data.test) if bits else None
    if without:  # it is a model, too
        high = min(high, without[1], key=lambda one: one.value)
    record = _record(args, members, low, high, without)
    results.write_json(args, "rates.json", record)
    results.write_figure(args, "rates.png", plots.rates(**_drawn(record, members)))
    _print(members, low, high, without)
    results.say_written(args)


def _interval(estimate):
    value, error = map(float, estimate)
    return [value, value - WIDE * error, value + WIDE * error]


def _placed(found):
    """{name: [value, low, high]} of Rates, with the intervals of data that were drawn."""
    return {name: _interval(one) for name, one in found.over_data().items()}


def _record(args, members, low, high, without):
    """Every number and the settings, of types that JSON knows."""
    settings = {name: value for name, value in words.settings(args).items() if name != "binarize"}
    chords = comparison.chords(members)
    return {
        "version": tv.__version__,
        "settings": settings,
        "notes": {
            "unit": "nats a data point; [value, low, high], 95% intervals of the data that were drawn",
            "information": "of the mixture of these data points' codes, at most `most`: less than of all data; its "
            "bounds information_low and information_high are [value, low, high] of the sampling alone",
            "cross_entropy": f"mean of -log p(x), {LIKELIHOOD_SAMPLES} importance samples a data point",
            "entropy": "limits of H of the held-out data's distribution: high is the least cross_entropy, that of "
            "without_code among them",
            "active": "latents whose mean moves with the held-out data, its variance above 0.01",
            "chords": "on the training data, from one member to the next; excess: nats, [value, low, high] of the "
            "sampling alone; above 0 where the training stopped short of the best",
        },
        "members": [
            {
                "beta": one.beta,
                **{
                    name: {
                        **_placed(found),
                        "information_low": _interval(found.information_low),
                        "information_high": _interval(found.information_high),
                        "most": found.entropy,
                    }
                    for name, found in (("held_out", one.held_out), ("train", one.train))
                },
                "cross_entropy": _interval(one.cross_entropy),
                "active": one.active,
            }
            for one in members
        ],
        "chords": [
            {"betas": list(one.betas), "slope": one.slope, "excess": [_interval(e) for e in one.excess]}
            for one in chords
        ],
        "entropy": {"low": low and _interval(low), "high": _interval(high)},
        "without_code": without and {"train": without[0], "held_out": _interval(without[1])},
    }


def _drawn(record, members):
    """The arguments of `plots.rates`."""

    def of(kind):
        return {name: [one[kind][name] for one in record["members"]] for name in NAMES}

    low, high = (record["entropy"][name] for name in ("low", "high"))
    without = record["without_code"]
    return {
        "betas": [one.beta for one in members],
        "held_out": of("held_out") | {"most": members[0].held_out.entropy},
        "train": of("train"),
        "entropy": (low and low[0], high[0]),
        "without_code": without and without["held_out"][0],
    }


def _print(members, low, high, without):
    """The tables, and what is known of H."""
    print()
    found = [one.held_out for one in members]
    header = ("beta", "R", "D", "R + D", "-log p(x)", "I", "KL of all codes", "active")
    words.print_table(header, *map(_row, members))
    near = [one for one in found if one.information.value > one.entropy - NEAR]
    print()
    words.say(
        f"Held-out data, {words.counted(len(found[0].points), 'data point')}, nats, with 95% intervals. R is what a "
        "code costs, D what it leaves open, R + D the negative ELBO; R = I + KL of all codes to the prior. -log p(x) "
        "is by importance samples, on average too high, most at a small beta. Active: latents whose mean moves with "
        "the data, its variance above 0.01."
        + f" I is of these data alone, at most {found[0].entropy:.2f}: * marks where it only counts them, and can be "
        "anything up to R for all data." * bool(near)
    )
    print()
    header = ("beta", "R, training", "D, training", "-dD/dR to the next", "excess")
    words.print_table(header, *_training_rows(members))
    print()
    words.say(
        "On the training data, if each model is the best at its beta, -dD/dR to the next lies between the two betas; "
        "the excess, in nats, is what one of the two would gain at its own beta by being the other: training that "
        "stopped short."
    )
    print()
    best = min(members, key=lambda one: one.cross_entropy.value)
    learnt = high.value == best.cross_entropy.value
    payer = f"the model of beta {best.beta:g}" if learnt else "a decoder that knows no code"
    text = f"The entropy H of the data is at most {_plus_minus(high)} nats, what {payer} pays for held-out data"
    if low is not None and low.value:
        text += f", and at least {_plus_minus(low)}, what drawing the pixels from greys adds"
    words.say(f"{text}; no model has D + R < H.")
    if without and not learnt:
        words.say(
            "It only knows each pixel's mean over the training data, and no model of the family pays less: give more "
            "--epochs."
        )
    elif without:
        words.say(
            f"A decoder that knows no code has D = {_plus_minus(without[1])} at best, as its pixels are independent: "
            f"at R = 0 it stays at least {without[1].value - high.value:.1f} nats above H."
        )


def _row(member):
    of, r = member.held_out.over_data(), member.held_out
    total = r.points[:, :2].sum(axis=1)  # as one: the two move against each other
    spread = total.std(ddof=1) / len(total) ** 0.5
    mark = "*" if r.information.value > r.entropy - NEAR else " "
    return (
        f"{member.beta:g}",
        *(_plus_minus(of[name]) for name in ("rate", "distortion")),
        _plus_minus((total.mean(), spread)),
        _plus_minus(member.cross_entropy),
        _plus_minus(of["information"]) + mark,
        _plus_minus(of["aggregate_kl"]),
        str(member.active),
    )


def _training_rows(members):
    for one, chord in zip(members, [*comparison.chords(members), None]):
        slope, excess = "", ""
        if chord is not None:
            high = max(chord.excess, key=lambda e: e.value)
            slope, excess = f"{chord.slope:.2f}", _plus_minus((max(0.0, high.value), high.error))
            if abs(one.train.rate.value) < 0.02:  # between two models that use no code there is no slope
                slope = "-"
        yield f"{one.beta:g}", f"{one.train.rate.value:.2f}", _plus_minus(one.train.distortion), slope, excess


def _plus_minus(estimate):
    value, error = estimate
    return f"{round(value, 2) + 0.0:.2f} ± {WIDE * error:.2f}"
