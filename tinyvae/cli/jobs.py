"""The jobs of the command line that train and time: compare, train, bench."""

import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae.cli import codes, groups, results, signals, training, words
from tinyvae.machine import files
from tinyvae.training.history import is_elbo

__all__ = ["compare", "train", "bench"]

TIMED = {"step": "the step", "floor": "the products", "twins": "the step on NumPy twins"}
SPREAD = 2  # from the 10% to the 90% point of a time: on a quiet machine it stays below


def compare(args):
    """Train one VAE with each estimator, side by side.

    Prints the data, a table of bounds and variances, one of costs, and what they say in words; writes compare.json and
    compare.png into --out.
    """
    from tinyvae import plots

    names = {field.name for field in fields(comparison.Settings)}
    options = {name: value for name, value in vars(args).items() if name in names}
    settings = comparison.Settings(**{**options, "latents": groups.latents(args)})
    for word in settings.estimators:
        words.built_in(word)
    results.require(args, "compare.json", "compare.png")
    with words.Progress(settings.epochs + 1) as progress:
        result = comparison.run(settings, progress)
    record = {"version": tv.__version__, **result.record()}
    results.write_json(args, "compare.json", record)
    results.write_figure(args, "compare.png", plots.compare(**result.figure()))

    if result.data.found:
        words.say(result.data.found)
    words.say(f"Data: {record['notes']['data']}.")
    one = settings.one
    size = f"{words.counted(settings.n_samples, 'sample')} a {one}, {words.counted(settings.n_draws, 'replicate')}"
    words.say(
        f"Gradients: {size}, all estimators {record['notes']['points']}; the table gives the encoder's at the end, "
        "its variance summed over the weights, with 95% intervals."
    )
    print()
    header, units = (
        ("estimator", "ELBO on test", "variance", "ratio to the best", "signal-to-noise"),
        ("", f"nats a {one}", "nats²", "", ""),
    )
    shown = {f"{name} (biased)" if row.get("biased") else name: row for name, row in result.table.items()}
    rows = [
        (name, f"{row['elbo']:.2f}", *(words.interval(row[key]) for key in ("variance", "ratio_to_best", "snr")))
        for name, row in shown.items()
    ]
    words.print_table(header, units, *rows)
    print()
    header, units = ("estimator", "ms a step", "variance x ms"), ("", "", "nats² ms")
    rows = [
        (name, words.number(row["step_milliseconds"]), words.number(row["variance_times_step_cost"][0]))
        for name, row in shown.items()
    ]
    words.print_table(header, units, *rows)
    print()
    for sentence in result.words.values():
        words.say(sentence)
    print()
    results.say_written(args)


def train(args):
    """Train a VAE with one estimator, an autoencoder, or a VQ-VAE and then the prior of its codes.

    Prints the last validation and the paths; writes model.npz, train.json and, once an epoch is validated, train.png
    into --out, with --save-every a series of models beside them. Whatever ends the training before, once there was a
    step, the same is written, never in the place of an earlier model.
    """
    if args.checkpoint:
        results.require_apart(args.checkpoint, args.out)
    estimator, data = words.estimator(args.estimator), words.dataset(args)
    vae = training.model(args, data.train)
    vae.image_shape = data.image_shape
    _require_room(vae, args)
    term = tv.likelihoods.term(data.train, vae.likelihood)
    if remark := words.remark(args, data.train, vae.likelihood):
        words.say(remark)
    history = tv.History()
    try:
        options = training.run_options(args, -(-len(data.train) // args.batch_size), estimator)
        _fit(vae, data, options, args, history)
        if args.model == "vqvae":
            codes.fit_prior(vae, data, args)
        with signals.ignored():
            _save(vae, history, term, args)
    except BaseException as error:
        with signals.ignored():
            _save_unfinished(vae, history, term, args)
        if isinstance(error, KeyboardInterrupt) and history.records:
            raise KeyboardInterrupt(f" after {words.counted(len(history.records), 'step')}") from None
        raise
    if history.validation:
        last = history.best if args.patience else history.validation[-1]
        kind = "loss" if is_elbo(options.get("objective")) else "negative ELBO"
        terms = f" = {term} {last.reconstruction:.2f} + KL {last.kl:.2f}" * (args.model == "vae")
        print(f"Validation after epoch {last.epoch}: {kind} {last.loss:.2f}{terms} nats a data point")
    results.say_written(args)


def _require_room(vae, args):
    """Raise unless the results and the checkpoint can be written; the checkpoint's folder is made."""
    size = vae.theta.nbytes
    results.require(args, "model.npz", "train.json", "train.png", size=size)
    if args.checkpoint:
        Path(args.checkpoint).parent.mkdir(parents=True, exist_ok=True)
        copies = 3 + bool(args.patience)  # the model's, Adam's two moments, and the best
        files.require_writable(args.checkpoint, results.ROOM + copies * size)
    if args.save_every:
        results.require_own_series(args.out, vae, bool(args.checkpoint) and Path(args.checkpoint).exists())


def _fit(vae, data, options, args, history):
    """Train; models are saved along the way, one every --save-every epochs. KeyboardInterrupt where one ended it."""
    wanted = {*range(0, args.epochs, args.save_every), args.epochs} if args.save_every else ()

    def keep(epoch):
        if args.checkpoint and epoch and Path(args.checkpoint) not in args.written:
            args.written.append(Path(args.checkpoint))
        if epoch in wanted:
            results.write_model(args, f"model-{epoch:04d}.npz", vae)

    keep(0)
    tv.fit(
        vae,
        data.train,
        data.test,
        args.epochs,
        args.checkpoint,
        keep,
        history,
        **options,
    )
    if history.interrupted:
        raise KeyboardInterrupt
    series = [Path(args.out, f"model-{epoch:04d}.npz") for epoch in sorted(wanted)]
    if missing := [path.name for path in series if not path.exists()]:
        print(
            f"The series lacks {', '.join(missing)}: {args.checkpoint} was past these epochs as this run went on",
            file=sys.stderr,
        )


def _save(vae, history, term, args):
    """Write the model, if it is finite, the history and its figure."""
    from tinyvae import plots

    if np.isfinite(vae.theta).all():
        results.write_model(args, "model.npz", vae)
    columns = {name: getattr(history, name).tolist() for name in ("loss", "reconstruction", "kl", "seconds")}
    validation = [row._asdict() for row in history.validation]
    results.write_json(
        args,
        "train.json",
        {"version": tv.__version__, "settings": words.settings(args), "steps": columns, "validation": validation},
    )
    if history.validation:
        epochs = [row.epoch for row in history.validation]
        terms = {
            name: [np.mean([getattr(r, name) for r in history.records if r.epoch == epoch]) for epoch in epochs]
            for name in ("reconstruction", "kl")[: 2 if args.model == "vae" else 1]
        }
        held_out = {name: [getattr(row, name) for row in history.validation] for name in terms}
        formula = "-log p(x | z)" if term == "reconstruction" else term
        results.write_figure(args, "train.png", plots.training(epochs, terms, held_out, formula))


def _save_unfinished(vae, history, term, args):
    """Write what was learnt before something ended the run, and put what there is to say of it into `args.kept`."""
    if not history.records:
        return
    try:
        if Path(args.out, "model.npz") not in args.written:  # else it was its history that could not be written
            args.out = results.unfinished(args.out)
            _save(vae, history, term, args)
    except Exception as error:  # what ended the run is the first to be told
        args.kept = f"; what was learnt could not all be written: {error}"
    if (model := Path(args.out, "model.npz")) in args.written:
        args.kept += f"; what was learnt so far is in {model}"
    elif not np.isfinite(vae.theta).all():
        args.kept += f"; the parameters are not finite, no model was written, and the history is in {args.out}"
    if args.checkpoint and Path(args.checkpoint).exists():
        args.kept += f"; the same command goes on after the last whole epoch, from {args.checkpoint}"


def bench(args):
    """Time one training step. Prints the table of `tinyvae.bench`, and a remark where the times cannot be trusted."""
    from tinyvae import bench as benchmark

    result = benchmark.run(args.n_features, tuple(args.hidden), args.n_latents, args.batch_size, binary=not args.dense)
    print(benchmark.table(result))
    if doubts := _doubts(result):
        print()
        words.say(f"Remark: {' and '.join(doubts)}. The machine was probably busy with something else: measure again.")


def _doubts(result):
    """Why the times that `bench.run` returned should not be trusted, in words; empty if nothing tells against them."""
    doubts = []
    for key, name in TIMED.items():
        spread = result[key]["high"] / result[key]["low"]
        if spread > SPREAD:
            doubts.append(f"{name} varied by a factor of {spread:.1f}")
    return doubts
