"""The jobs of the command line that train, draw and time: compare, train, sample, bench."""

import math
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae.cli import words

__all__ = ["compare", "train", "sample", "bench"]

TIMED = {"step": "the step", "floor": "the products", "twins": "the step on NumPy twins"}
SPREAD = 2  # from the 10% to the 90% point of a time: on a quiet machine it stays below


def compare(args):
    """Train one VAE with each estimator, side by side.

    Prints the data, a table of bounds and variances, one of costs, and what they say in words; writes compare.json and
    compare.png into --out.
    """
    from tinyvae import plots

    names = {field.name for field in fields(comparison.Settings)}
    settings = comparison.Settings(**{name: value for name, value in vars(args).items() if name in names})
    for word in settings.estimators:
        words.built_in(word)
    words.announce_compilation()
    with words.Progress(settings.epochs + 1) as progress:
        result = comparison.run(settings, progress)
    record = {"version": tv.__version__, **result.record()}
    words.write_json(args.out, "compare.json", record)
    plots.save(plots.compare(**result.figure()), Path(args.out, "compare.png"))

    print(f"Data: {record['notes']['data']}: the bound is on a discrete likelihood.")
    size = f"{words.counted(settings.n_samples, 'sample')} a digit, {words.counted(settings.n_draws, 'replicate')}"
    words.say(
        f"Gradients: {size}, all estimators {record['notes']['points']}; the table gives the encoder's at the end, "
        "its variance summed over the weights, with 95% intervals."
    )
    print()
    header, units = (
        ("estimator", "ELBO on test", "variance", "ratio to the best", "signal-to-noise"),
        ("", "nats a digit", "nats²", "", ""),
    )
    rows = [
        (name, f"{row['elbo']:.2f}", *(words.interval(row[key]) for key in ("variance", "ratio_to_best", "snr")))
        for name, row in result.table.items()
    ]
    words.print_table(header, units, *rows)
    print()
    header, units = ("estimator", "ms a step", "variance x ms"), ("", "", "nats² ms")
    rows = [
        (name, words.number(row["step_milliseconds"]), words.number(row["variance_times_step_cost"][0]))
        for name, row in result.table.items()
    ]
    words.print_table(header, units, *rows)
    print()
    for sentence in result.words.values():
        words.say(sentence)
    print()
    words.say(f"Written: {Path(args.out, 'compare.png')}, {Path(args.out, 'compare.json')}")


def train(args):
    """Train a VAE with one estimator.

    Prints the last validation and the paths; writes model.npz, train.json and, once an epoch is validated, train.png
    into --out, with --save-every a series of models beside them. Returns the exit status 130 after Ctrl-C, else None.
    """
    from tinyvae import plots

    estimator, data = words.estimator(args.estimator), words.dataset(args)
    vae = tv.VAE(
        data.train.shape[1], args.n_latents, args.hidden, args.activation, args.likelihood, args.dtype, args.seed
    )
    words.announce_compilation()
    grey = data.train.dtype.kind == "f" and np.any((data.train > 0) & (data.train < 1))
    grey = grey and not vae.likelihood.is_density
    if grey:
        print(
            f"The pixels of {args.data} are grey: their reconstruction term is a cross-entropy, no density "
            "(see --binarize)."
        )
    history, series = _fitted(vae, data, estimator, args)
    vae.save(Path(args.out, "model.npz"))
    columns = {name: getattr(history, name).tolist() for name in ("loss", "reconstruction", "kl", "seconds")}
    validation = [row._asdict() for row in history.validation]
    words.write_json(
        args.out,
        "train.json",
        {"version": tv.__version__, "settings": words.settings(args), "steps": columns, "validation": validation},
    )
    written = [Path(args.out, name) for name in ("model.npz", "train.json")] + series
    if history.validation:
        last = history.validation[-1]
        epochs = [row.epoch for row in history.validation]
        terms = {
            name: [np.mean([getattr(r, name) for r in history.records if r.epoch == epoch]) for epoch in epochs]
            for name in ("reconstruction", "kl")
        }
        held_out = {name: [getattr(row, name) for row in history.validation] for name in terms}
        name, formula = ("cross-entropy", "cross-entropy") if grey else ("reconstruction", "-log p(x | z)")
        plots.save(plots.training(epochs, terms, held_out, formula), Path(args.out, "train.png"))
        written.append(Path(args.out, "train.png"))
        print(
            f"Validation after epoch {last.epoch}: loss {last.loss:.2f} = {name} {last.reconstruction:.2f} "
            f"+ KL {last.kl:.2f} nats a data point"
        )
    words.say(f"Written: {', '.join(map(str, written))}")
    if history.interrupted:
        again = (
            f"; the same command goes on after the last whole epoch, from {args.checkpoint}"
            if history.validation and args.checkpoint
            else ""
        )
        return words.fail(
            130,
            f"train: interrupted after {words.counted(len(history.records), 'step')}; "
            f"what was learnt so far is in {written[0]}{again}",
        )


def _fitted(vae, data, estimator, args):
    """The History of the run, and the paths of the models saved along the way, one every --save-every epochs."""
    series, wanted = [], {*range(0, args.epochs, args.save_every), args.epochs} if args.save_every else ()

    def keep(epoch):
        if epoch in wanted:
            series.append(Path(args.out, f"model-{epoch:04d}.npz"))
            vae.save(series[-1])

    keep(0)
    if args.checkpoint:
        Path(args.checkpoint).parent.mkdir(parents=True, exist_ok=True)
        if Path(args.checkpoint).exists():
            print(f"Going on from {args.checkpoint}", file=sys.stderr)
    history = tv.fit(
        vae,
        data.train,
        data.test,
        args.epochs,
        args.checkpoint,
        keep,
        estimator=estimator,
        objective=words.objective(args),
        optimizer=tv.Adam(args.rate),
        n_samples=args.n_samples,
        batch_size=args.batch_size,
        seed=args.seed,
        noise=args.noise,
    )
    return history, series


def sample(args):
    """Draw images from a saved model. Prints the path; writes samples.png into --out."""
    from tinyvae import plots

    vae = tv.VAE.load(args.model)
    shape = tuple(args.image_shape) if args.image_shape else words.image_shape(vae.n_features)
    if math.prod(shape) != vae.n_features:
        raise ValueError(
            f"--image-shape {shape[0]} {shape[1]} has {math.prod(shape)} pixels, "
            f"but the model's images have {vae.n_features}"
        )
    path = Path(args.out, "samples.png")
    plots.save(plots.samples(vae.sample(args.n, np.random.default_rng(args.seed)), shape), path)
    print(f"Written: {path}")


def bench(args):
    """Time one training step. Prints the table of `tinyvae.bench`, and a remark where the times cannot be trusted."""
    from tinyvae import bench as benchmark

    words.announce_compilation()
    result = benchmark.run(args.n_features, tuple(args.hidden), args.n_latents, args.batch_size, binary=not args.dense)
    print(benchmark.table(result))
    if doubts := _doubts(result):
        print()
        words.say(f"Remark: {' and '.join(doubts)}. The machine was probably busy with something else: measure again.")


def _doubts(result):
    """Why the times that `bench.run` returned should not be trusted, in words; empty if nothing tells against them."""
    doubts = ["the step came out faster than its own matrix products"] * (result["ratio"]["median"] < 1)
    for key, name in TIMED.items():
        spread = result[key]["high"] / result[key]["low"]
        if spread > SPREAD:
            doubts.append(f"{name} varied by a factor of {spread:.1f}")
    return doubts
