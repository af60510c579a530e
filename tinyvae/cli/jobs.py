"""The jobs of the command line that train and draw: compare, train, sample."""

import math
import tempfile
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae.cli import words


def compare(args):
    from tinyvae import plots

    names = {field.name for field in fields(comparison.Settings)}
    settings = comparison.Settings(**{name: value for name, value in vars(args).items() if name in names})
    words.announce_compilation()
    with words.Progress(settings.epochs + 1) as progress:
        result = comparison.run(settings, progress)
    record = {"version": tv.__version__, **result.record()}
    words.write_json(args.out, "compare.json", record)
    plots.save(plots.compare(**result.figure()), Path(args.out, "compare.png"))

    print(f"Data: {record['notes']['data']}: the bound is on a discrete likelihood.")
    print(f"Gradients: {settings.n_samples} samples a digit, {settings.n_draws} replicates, all estimators {record['notes']['points']};")
    print("the table gives the encoder's at the end, its variance summed over the weights, with 95% intervals.\n")
    header = ("estimator", "ELBO on test", "variance", "ratio to the best", "signal-to-noise", "ms a step", "variance x ms")
    units = ("", "nats a digit", "nats²", "", "", "", "nats² ms")
    rows = [
        (name, f"{row['elbo']:.2f}", words.interval(row["variance"]), words.interval(row["ratio_to_best"]), words.interval(row["snr"]),
         words.number(row["step_milliseconds"]), words.number(row["variance_times_step_cost"][0]))
        for name, row in result.table.items()
    ]
    words.print_table(header, units, *rows)
    print()
    for sentence in result.words.values():
        print(textwrap.fill(sentence, 110))
    print(f"\nWritten: {Path(args.out, 'compare.png')}, {Path(args.out, 'compare.json')}")


def train(args):
    from tinyvae import plots

    data = words.dataset(args)
    vae = tv.VAE(data.train.shape[1], args.n_latents, args.hidden, args.activation, args.likelihood, args.dtype, args.seed)
    words.announce_compilation()
    grey = data.train.dtype.kind == "f" and np.any((data.train > 0) & (data.train < 1))
    if grey:
        print(f"The pixels of {args.data} are grey: their reconstruction term is a cross-entropy, no density (see --binarize).")
    history, series = _fitted(vae, data, args)
    vae.save(Path(args.out, "model.npz"))
    columns = {name: getattr(history, name).tolist() for name in ("loss", "reconstruction", "kl", "seconds")}
    validation = [row._asdict() for row in history.validation]
    words.write_json(args.out, "train.json", {"version": tv.__version__, "settings": words.settings(args), "steps": columns, "validation": validation})
    written = [Path(args.out, name) for name in ("model.npz", "train.json")] + series
    if history.validation:
        last = history.validation[-1]
        epochs = [row.epoch for row in history.validation]
        terms = {name: [np.mean([getattr(r, name) for r in history.records if r.epoch == epoch]) for epoch in epochs] for name in ("reconstruction", "kl")}
        held_out = {name: [getattr(row, name) for row in history.validation] for name in terms}
        plots.save(plots.training(epochs, terms, held_out), Path(args.out, "train.png"))
        written.append(Path(args.out, "train.png"))
        kind = "cross-entropy" if grey else "reconstruction"
        print(f"Validation after epoch {last.epoch}: loss {last.loss:.2f} = {kind} {last.reconstruction:.2f} + KL {last.kl:.2f} nats a data point")
    print(f"Written: {', '.join(map(str, written))}")
    if history.interrupted:
        return words.fail(130, f"train: interrupted after {len(history.records)} steps; what was learnt so far is in {written[0]}")


def _fitted(vae, data, args):
    """The History of the run, and the paths of the models saved along the way, one every --save-every epochs."""
    options = dict(
        estimator=words.estimator(args.estimator), objective=words.objective(args), optimizer=tv.Adam(args.rate),
        n_samples=args.n_samples, batch_size=args.batch_size, seed=args.seed, noise=args.noise,
    )
    if not args.save_every:
        return tv.fit(vae, data.train, data.test, epochs=args.epochs, **options), []
    series = []

    def keep(epoch):
        series.append(Path(args.out, f"model-{epoch:04d}.npz"))
        vae.save(series[-1])

    keep(0)
    with tempfile.TemporaryDirectory() as folder:  # the checkpoint carries the run from one part to the next
        for epoch in sorted({*range(args.save_every, args.epochs, args.save_every), args.epochs}):
            history = tv.fit(vae, data.train, data.test, epochs=epoch, checkpoint=Path(folder, "run.npz"), **options)
            if history.interrupted:
                break
            keep(epoch)
    return history, series


def sample(args):
    from tinyvae import plots

    vae = tv.VAE.load(args.model)
    shape = tuple(args.image_shape) if args.image_shape else words.image_shape(vae.n_features)
    if math.prod(shape) != vae.n_features:
        raise ValueError(f"--image-shape {shape[0]} {shape[1]} has {math.prod(shape)} pixels, but the model's images have {vae.n_features}")
    path = Path(args.out, "samples.png")
    plots.save(plots.samples(vae.sample(args.n, np.random.default_rng(args.seed)), shape), path)
    print(f"Written: {path}")


def bench(args):
    from tinyvae import bench as benchmark

    words.announce_compilation()
    print(benchmark.table(benchmark.run(args.n_features, tuple(args.hidden), args.n_latents, args.batch_size, binary=not args.dense)))
