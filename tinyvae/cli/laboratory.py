"""The laboratory's command `variance`, which measures estimators side by side."""

from pathlib import Path

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae import variance as measuring
from tinyvae.cli import groups, results, words

__all__ = ["variance"]

AFFORDABLE = 5e10  # multiply-adds that the exact gradient of a model may take: some seconds
NOISE = ("rank", "estimator", "variance", "ratio to the best", "signal-to-noise"), ("", "", "nats²", "", "")
WRONG, ENOUGH = 1e-4, 1000  # a p below which a bias is taken for one, and replicates from which on p can be trusted
PRICE = (
    ("estimator", "bias", "largest z (p)", "f + df/dz", "ms", "variance x ms", "rank"),
    ("", "of the gradient's norm", "", "a point", "phi alone", "nats² ms", "by it"),
)


def variance(args):
    """Measure estimators side by side, on a named problem, on one model or a fresh one, or along a series of models.

    Prints tables, best first; writes variance.json and variance.png into --out, with --decompose decomposition.png too.
    """
    if args.estimators is None:
        args.estimators = comparison.default_estimators(args.objective, _latents(args))
    functions = [words.estimator(word) for word in args.estimators]
    results.require(args, "variance.json", "variance.png", *["decomposition.png"] * args.decompose)
    if args.problem:
        return _on_problem(args, functions)
    if args.model and len(args.model) > 1:
        return _along(args, functions)
    return _on_model(args, functions)


def _latents(args):
    """What q is, of the problem, of the first model or of a fresh one."""
    from tinyvae import problems

    if args.problem:
        return problems.make(args.problem).q.name
    return tv.VAE.load(args.model[0]).family if args.model else groups.latents(args)


def _on_problem(args, functions):
    from tinyvae import problems

    for function in functions if args.problem != "linear_gaussian" else ():
        if getattr(getattr(tv.estimators.resolve(function), "traits", None), "objective", None) == "bound":
            raise ValueError(
                f"{tv.estimators.name_of(function)} estimates the gradient of the importance-weighted bound, which "
                f"{args.problem} has not: take --problem linear_gaussian or a model, with --objective "
                "importance_weighted"
            )
    p = problems.make(
        args.problem, words.objective(args) if args.problem == "linear_gaussian" else None, args.n_samples
    )
    reports = measuring.measure_target(
        p.q, p.target, functions, p.objective, args.n_draws, args.n_samples, args.seed, noise=args.noise
    )
    exact = None if p.gradient is None else p.q.split(p.gradient)
    title = (
        f"Gradient of {args.problem}: {words.counted(p.q.mean.shape[0], 'data point')}, "
        f"{words.counted(p.q.kl_by_latent().shape[1], 'latent')}"
    )
    _tell(args, measuring.summary(reports, exact), p.q.blocks, title)


def _on_model(args, functions):
    vae, data = _model(args, args.model[0] if args.model else None)
    objective, batch = words.objective(args), data.train[: args.batch_size]
    options = {"n_draws": args.n_draws, "n_samples": args.n_samples, "seed": args.seed, "noise": args.noise}
    reports = measuring.measure(vae, batch, functions, objective, blocks=comparison.without_decoder(vae), **options)
    exact, why = _exact(vae, batch, objective, args.n_samples)
    extra = {}
    if args.decompose:
        options["n_draws"] = args.n_batches
        found = measuring.decompose(
            vae,
            data.train,
            functions,
            objective,
            args.n_batches,
            batch_size=min(args.batch_size, len(data.train)),
            **options,
        )
        found = {
            **{name: {"encoder": parts["encoder"]} for name, parts in found.items()},
            "any estimator": {"decoder": next(iter(found.values()))["decoder"]},
        }
        extra["decomposition"] = {
            name: {block: {part: list(v) for part, v in d._asdict().items()} for block, d in blocks.items()}
            for name, blocks in found.items()
        }
    which = args.model[0] if args.model else "a fresh model"
    title = f"Gradient of {which} on {_rows(batch, args)}"
    known = (exact.gradients, exact.errors) if exact else ()
    if remark := words.remark(args, batch, vae.likelihood):
        why += f" {remark}"
    _tell(args, measuring.summary(reports, *known), ("encoder",), title, why, extra)


def _rows(batch, args):
    return f"the first {words.counted(len(batch), 'training row')} of {args.data}"


def _size(args):
    return (
        f"{words.counted(args.n_samples, 'sample')} a point, {args.noise} noise, "
        f"{words.counted(args.n_draws, 'replicate')}; 95% intervals."
    )


def _model(args, path):
    data = words.dataset(args)
    if path:
        return tv.VAE.load(path), data
    sizes, kinds = (data.train.shape[1], args.n_latents, args.hidden), (groups.latents(args), args.prior)
    return tv.VAE(*sizes, likelihood=args.likelihood, seed=args.seed, latents=kinds[0], prior=kinds[1]), data


def _exact(vae, batch, objective, n_samples):
    """The exact gradient, a `problems.Reference`, and its error in words; or None and why not."""
    from tinyvae import problems

    if not hasattr(vae.family, "nodes") and not hasattr(vae.family, "n_states"):
        return None, f"No bias: latents of {vae.family.name!r} have no nodes for an exact gradient."
    rows, how = problems.rule(vae)
    if rows is None:
        return None, f"No bias against the exact gradient: {how}."
    if 2 * len(batch) * rows * len(vae.decoder.theta) > AFFORDABLE:
        return (
            None,
            f"No bias: the exact gradient by {how} would take long; "
            "give a smaller --batch-size, or a model with fewer latents.",
        )
    found = problems.vae_gradient(vae, batch, objective, n_samples)
    error = f", relative error {found.error:.1e}" if found.error else ""
    return found, f"Bias: against the exact gradient by {how}{error}."


def _tell(args, record, blocks, title, remark="", extra=None):
    """Print the tables of `blocks`, best first, and write the JSON file and the figures."""
    from tinyvae import plots

    record = _ranked(record, blocks[0])
    result = {"estimators": _plain(record), **(extra or {})}
    results.write_json(args, "variance.json", {"version": tv.__version__, "settings": words.settings(args), **result})
    every = next(iter(record.values())).blocks
    totals = {block: {name: row.blocks[block]["variance"] for name, row in record.items()} for block in every}
    last = blocks[0]
    prices = {
        name: [row.costs["phi_milliseconds"] * v for v in row.blocks[last]["variance"]] for name, row in record.items()
    }
    biased = [name for name, row in record.items() if _marked(name, row, args.n_draws) != name]
    results.write_figure(args, "variance.png", plots.variances(totals, {f"{last}, variance x ms": prices}, biased))
    if extra:
        results.write_figure(args, "decomposition.png", plots.decomposition(extra["decomposition"]))

    words.say(f"{title}; {_size(args)}")
    words.say("Rank 1-2: first or second; the interval of the two estimators' paired ratio holds 1.")
    if remark:
        words.say(remark)
    if any("bias" in row.blocks[block] for row in record.values() for block in blocks):
        print(
            "z: |bias| of a coordinate over its standard error; "
            "p: the chance of so large a z in any coordinate without a bias."
        )
    words.say(
        "f + df/dz: how often each is asked for, a data point; ms: of one gradient with respect to phi, the "
        "parameters of q or of the encoder that gives them."
    )
    _tell_of_the_biased(record, args.n_draws)
    for block in blocks:
        print(
            f"\n{block}"
            + (", total over the weights" if block == "encoder" else ", total over data points and latents")
        )
        lines = _ranked(record, block).items()
        words.print_table(*NOISE, *(_noise(_marked(name, row, args.n_draws), row.blocks[block]) for name, row in lines))
        print()
        words.print_table(*PRICE, *(_price(name, row.costs, row.blocks[block]) for name, row in lines))
    if extra:
        _tell_parts(args, extra["decomposition"])
    print()
    results.say_written(args)


def _marked(name, row, n_draws):
    """An estimator's name, with a word where its gradient is wrong."""
    found = [numbers["bias"] for numbers in row.blocks.values() if "bias" in numbers and n_draws >= ENOUGH]
    biased = row.biased or any(bias["p"] < WRONG and bias["norm"][1] > 0 for bias in found)
    return f"{name} (biased)" if biased else name


def _tell_of_the_biased(record, n_draws):
    if any(_marked(name, row, n_draws) != name for name, row in record.items()):
        words.say(
            "(biased): as it says itself, or as its bias shows, a p below 0.0001 from 1,000 replicates or more; "
            "its rank tells how quiet it is, not how good."
        )


def _plain(record):
    """The summaries as JSON holds them."""
    return {name: row.plain() for name, row in record.items()}


def _ranked(record, block):
    """`record` in the order of its ranks in one block, "1-2" before "1-3" before "2"."""

    def place(name):
        numbers = record[name].blocks[block]
        first, _, last = numbers["rank"].partition("-")
        return int(first), int(last or first), numbers["variance"][0]

    return {name: record[name] for name in sorted(record, key=place)}


def _noise(name, numbers):
    return (
        numbers["rank"],
        name,
        words.interval(numbers["variance"]),
        words.interval(numbers["ratio_to_best"]),
        words.interval(numbers["snr"]),
    )


def _price(name, costs, numbers):
    bias, z = "-", "-"
    if "bias" in numbers:
        off = numbers["bias"]
        bias = "{}% ({} to {})".format(*map(words.percent, off["norm"]))
        z = f"{words.number(off['z'])} ({words.number(off['p'])})"
    return (
        name,
        bias,
        z,
        f"{costs['evaluations']:g} + {costs['gradients']:g}",
        words.number(costs["phi_milliseconds"]),
        words.number(numbers["variance_times_phi_cost"]),
        numbers["cost_rank"],
    )


def _tell_parts(args, parts):
    print()
    words.say(
        f"Where the variance of a training gradient comes from: {args.n_batches} minibatches, "
        f"the noise of each drawn {args.n_batches} times."
    )
    rows = [
        (
            name,
            block,
            words.interval(d["total"]),
            words.interval(d["minibatch"]),
            words.interval(d["noise"]),
            "{:.1%} ({:.1%} to {:.1%})".format(*d["share"]),
        )
        for name, blocks in parts.items()
        for block, d in blocks.items()
    ]
    header = ("estimator", "block", "variance", "of the minibatch", "of the latent noise", "the minibatch's share")
    words.print_table(header, ("", "", "nats²", "nats²", "nats²", ""), *rows)


def _require_one_series(paths):
    """Raise ValueError unless all models are of one configuration: else they were not trained in one run."""
    first, *others = ((path, tv.VAE.load(path).config) for path in paths)
    for path, config in others:
        if differences := [
            f"{name} is {first[1].get(name)!r} in {first[0]} and {config.get(name)!r} in {path}"
            for name in {**first[1], **config}
            if first[1].get(name) != config.get(name)
        ]:
            raise ValueError(f"a series is of models from one run: {'; '.join(differences)}; give those of one run")


def _along(args, functions):
    """A series of models in order: variance, signal-to-noise, and the KL, which is 0 where the posterior collapsed."""
    from tinyvae import plots

    objective, points = words.objective(args), []
    _require_one_series(args.model)
    for path in args.model:
        vae, data = _model(args, path)
        batch = data.train[: args.batch_size]
        reports = measuring.measure(
            vae,
            batch,
            functions,
            objective,
            args.n_draws,
            args.n_samples,
            args.seed,
            n_timings=0,
            noise=args.noise,
            blocks=comparison.without_decoder(vae),
        )
        points.append(
            {"model": str(path), "kl": float(vae.encode(batch).kl().mean()), "estimators": measuring.summary(reports)}
        )
    plain = [{**p, "estimators": _plain(p["estimators"])} for p in points]
    results.write_json(
        args, "variance.json", {"version": tv.__version__, "settings": words.settings(args), "points": plain}
    )
    names = list(points[0]["estimators"])
    curves = {
        key: {name: [p["estimators"][name].blocks["encoder"][key] for p in points] for name in names}
        for key in ("variance", "snr")
    }
    labels, kl = [Path(p["model"]).stem for p in points], [p["kl"] for p in points]
    results.write_figure(args, "variance.png", plots.along(labels, kl, curves["variance"], curves["snr"]))
    words.say(f"Gradient of the encoder on {_rows(batch, args)}; {_size(args)}")
    if remark := words.remark(args, batch, vae.likelihood):
        words.say(remark)
    _tell_of_the_biased(points[0]["estimators"], args.n_draws)
    for p in points:
        print(f"\n{Path(p['model']).stem}, KL {words.number(p['kl'])} nats a point")
        words.print_table(
            *NOISE,
            *(
                _noise(_marked(name, row, args.n_draws), row.blocks["encoder"])
                for name, row in _ranked(p["estimators"], "encoder").items()
            ),
        )
    print()
    results.say_written(args)
