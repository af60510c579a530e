"""The command line: `tinyvae compare`, and the single jobs train, sample, variance and check.

Results go to the standard output and into files under --out; progress and errors go to the standard
error. Exit status: 0, or 1 where a run diverged or a check failed, 2 for a wrong value, 130 for Ctrl-C.
"""

import json
import math
import runpy
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae import blas, datasets, estimators, options
from tinyvae.kernels import optimizers


def main(argv=None):
    """Run one command; returns the exit status. argv: the words after `tinyvae`, those of this process if None."""
    args = options.parse(argv)
    try:
        if "out" in args:
            Path(args.out).mkdir(parents=True, exist_ok=True)
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges has a line of its own
            return COMMANDS[args.command](args) or 0
    except KeyboardInterrupt:
        return _fail(130, f"{args.command}: interrupted, nothing was written")
    except tv.NonFiniteLoss as error:
        return _fail(1, f"{args.command}: {error}")
    except (ValueError, TypeError, OSError) as error:
        return _fail(2, f"{args.command}: {error}")


def _fail(status, message):
    print("tinyvae " + " ".join(message.split()), file=sys.stderr)
    return status


# --- the commands -----------------------------------------------------------------------------------------


def compare(args):
    from tinyvae import plots

    names = {field.name for field in fields(comparison.Settings)}
    settings = comparison.Settings(**{name: value for name, value in vars(args).items() if name in names})
    _announce_compilation()
    with blas.suited_to(settings.batch_size * settings.n_samples, (*settings.hidden, 64)), _Progress(settings.epochs + 1) as progress:
        result = comparison.run(settings, progress)
    record = {"version": tv.__version__, **result.record()}
    _write_json(args.out, "compare.json", record)
    plots.save(plots.compare(**result.figure()), Path(args.out, "compare.png"))

    print(f"Data: {record['notes']['data']}: the bound is on a discrete likelihood.")
    print(f"Gradients: {settings.n_samples} samples a digit, {settings.n_draws} replicates, all estimators {record['notes']['points']};")
    print("the table gives the encoder's at the end, its variance summed over the weights, with 95% intervals.\n")
    header = ("estimator", "ELBO on test", "variance", "ratio to the best", "signal-to-noise", "ms a step", "variance x ms")
    units = ("", "nats a digit", "nats²", "", "", "", "nats² ms")
    rows = [
        (name, f"{row['elbo']:.2f}", _interval(row["variance"]), _interval(row["ratio_to_best"]), _interval(row["snr"]),
         _number(row["step_milliseconds"]), _number(row["variance_times_step_cost"][0]))
        for name, row in result.table.items()
    ]
    _print_table(header, units, *rows)
    print()
    for sentence in result.words.values():
        print(textwrap.fill(sentence, 110))
    print(f"\nWritten: {Path(args.out, 'compare.png')}, {Path(args.out, 'compare.json')}")


def train(args):
    from tinyvae import plots

    data = _dataset(args)
    vae = tv.VAE(data.train.shape[1], args.n_latents, args.hidden, args.activation, args.likelihood, args.dtype, args.seed)
    _announce_compilation()
    grey = data.train.dtype.kind == "f" and np.any((data.train > 0) & (data.train < 1))
    if grey:
        print(f"The pixels of {args.data} are grey: their reconstruction term is a cross-entropy, no density (see --binarize).")
    with blas.suited_to(args.batch_size * args.n_samples, vae.encoder.sizes):
        history = tv.fit(
            vae, data.train, data.test, epochs=args.epochs, estimator=_estimator(args.estimator), objective=tv.ELBO(args.beta, args.kl),
            optimizer=tv.Adam(args.rate), n_samples=args.n_samples, batch_size=args.batch_size, seed=args.seed,
        )
    vae.save(Path(args.out, "model.npz"))
    columns = {name: getattr(history, name).tolist() for name in ("loss", "reconstruction", "kl", "seconds")}
    validation = [row._asdict() for row in history.validation]
    _write_json(args.out, "train.json", {"version": tv.__version__, "settings": _settings(args), "steps": columns, "validation": validation})
    written = [Path(args.out, name) for name in ("model.npz", "train.json")]
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
        return _fail(130, f"train: interrupted after {len(history.records)} steps; what was learnt so far is in {written[0]}")


def sample(args):
    from tinyvae import plots

    vae = tv.VAE.load(args.model)
    shape = tuple(args.image_shape) if args.image_shape else _image_shape(vae.n_features)
    if math.prod(shape) != vae.n_features:
        raise ValueError(f"--image-shape {shape[0]} {shape[1]} has {math.prod(shape)} pixels, but the model's images have {vae.n_features}")
    path = Path(args.out, "samples.png")
    plots.save(plots.samples(vae.sample(args.n, np.random.default_rng(args.seed)), shape), path)
    print(f"Written: {path}")


def variance(args):
    from tinyvae import plots
    from tinyvae.variance import measure

    data = _dataset(args)
    n_features = data.train.shape[1]
    vae = tv.VAE.load(args.model) if args.model else tv.VAE(n_features, args.n_latents, args.hidden, seed=args.seed)
    _announce_compilation()
    objective = tv.ELBO(args.beta, args.kl)
    batch, functions = data.train[: args.batch_size], [_estimator(word) for word in args.estimators]
    with blas.suited_to(args.batch_size * args.n_samples, vae.encoder.sizes):
        reports = measure(vae, batch, functions, objective, args.n_draws, args.n_samples, args.seed)
    record = comparison.measured(reports)
    _write_json(args.out, "variance.json", {"version": tv.__version__, "settings": _settings(args), "estimators": record})
    blocks = {block: {name: row[block]["variance"] for name, row in record.items()} for block in comparison.BLOCKS[:3]}
    plots.save(plots.variances(blocks), Path(args.out, "variance.png"))

    of = args.model or f"a fresh model of seed {args.seed}"
    print(f"Gradients of {of}, first {args.batch_size} training rows of {args.data}, {args.n_samples} samples a point, {args.n_draws} replicates; 95% intervals.\n")
    header = ("estimator", "block", "variance", "ratio to the best", "signal-to-noise", "f + df/dz", "ms", "variance x ms")
    units = ("", "", "nats²", "", "", "a point", "phi alone", "nats² ms")
    rows = [
        (name, block, _interval(row[block]["variance"]), _interval(row[block]["ratio_to_best"]), _interval(row[block]["snr"]),
         f"{row['evaluations']:g} + {row['gradients']:g}", _number(row["phi_milliseconds"]), _number(row[block]["variance"][0] * row["phi_milliseconds"]))
        for block in ("mu", "logvar", "encoder") for name, row in record.items()
    ]
    _print_table(header, units, *rows)
    print(f"\nThe decoder's gradient is the same under all estimators: variance {_interval(next(iter(record.values()))['decoder']['variance'])} nats².")
    print(f"Written: {Path(args.out, 'variance.png')}, {Path(args.out, 'variance.json')}")


def check(args):
    from tinyvae.check import unbiased

    _announce_compilation()
    certificates = [unbiased(_estimator(word), n_samples=args.n_samples, level=args.level, bias=args.bias, seed=args.seed) for word in args.estimators]
    for certificate in certificates:
        print(certificate.report())
    return 0 if all(certificate.passed for certificate in certificates) else 1


COMMANDS = {function.__name__: function for function in (compare, train, sample, variance, check)}


# --- words into values ------------------------------------------------------------------------------------


def _estimator(word):
    """The built-in estimator's name, or the function `name` of `file.py:name`."""
    path, colon, name = word.rpartition(":")
    if not colon:
        estimators.resolve(word)
        return word
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file; give an estimator of your own as file.py:name")
    try:
        found = runpy.run_path(path)
    except Exception as error:  # the reader's file may fail in any way
        raise ValueError(f"{path} could not be run: {type(error).__name__}: {error}") from error
    if not callable(found.get(name)):
        functions = [key for key, value in found.items() if callable(value) and getattr(value, "__module__", "") == "<run_path>"]
        raise ValueError(f"{path} holds no function {name!r}; it holds {', '.join(functions) or 'none'}")
    return found[name]


def _dataset(args):
    data = datasets.load(args.data)
    return comparison.binarized(data, args.seed) if args.binarize else data


def _image_shape(n_pixels):
    """(rows, columns): the most square image of so many pixels, upright if it is not square."""
    columns = next(c for c in range(math.isqrt(n_pixels), 0, -1) if n_pixels % c == 0)
    return n_pixels // columns, columns


# --- values into words ------------------------------------------------------------------------------------


def _announce_compilation():
    """Say that kernels will be compiled, where none are in Numba's cache yet."""
    stats = getattr(optimizers.adam, "stats", None)  # a NumPy twin has none
    if stats and not (stats.cache_path and any(Path(stats.cache_path).glob("optimizers.adam*.nbi"))):
        print("First run: compiling the kernels takes some seconds; later runs start at once.", file=sys.stderr)


class _Progress:
    """A progress bar where the standard error is a terminal, else a plain line now and then."""

    def __init__(self, total):
        self.total, self.bar = total, None

    def __enter__(self):
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit="epoch")
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.close()

    def __call__(self, epoch, line):
        if self.bar:
            self.bar.update()
            self.bar.set_postfix_str(line or self.bar.postfix or "")
        elif line:
            print(f"epoch {epoch}/{self.total - 1}: variance {line}", file=sys.stderr)


def _settings(args):
    return {name: value for name, value in vars(args).items() if name not in ("command", "out")}


def _write_json(folder, name, record):
    from tinyvae.plots import write

    write(Path(folder, name), (json.dumps(_finite(record), indent=1, allow_nan=False) + "\n").encode())


def _finite(value):
    """`value` with None for what JSON does not know: NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value):
    return comparison.brief(value)


def _interval(interval):
    value, low, high = map(_number, interval)
    return value if value == low == high else f"{value} ({low} to {high})"


def _print_table(*rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) if i < 1 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
