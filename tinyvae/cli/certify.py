"""The laboratory's command `check`, which certifies estimators and shows them beside the built-in ones."""

import copy

import numpy as np

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae import variance as measuring
from tinyvae.cli import words
from tinyvae.estimators.contract import checked_draws

__all__ = ["check"]

LATENTS = {  # the named problems that an estimator is shown on beside the others, by what q is
    "gaussian": ("quadratic", "cosine", "linear_gaussian"),
    "binary": ("one_bit", "coupled_bits"),
    "categorical": ("one_choice",),
}
MOST = 1e8  # draws, a hundred times what a problem gets: a bias that takes more is not looked for


def check(args):
    """Certify estimators, and print each one's certificate and a table of it beside the built-in ones.

    Returns the exit status: 0, or 1 where one is biased. Writes no files.
    """
    from tinyvae.check import bound_problems, default_problems, unbiased

    _require_affordable(args.bias, args.level)
    functions = [words.estimator(word) for word in args.estimators]
    for function in functions:
        _try(function, args.n_samples, args.latents)
    passed = True
    for function in functions:
        options = {name: getattr(args, name) for name in ("n_samples", "level", "bias", "seed", "latents")}
        certificate = unbiased(function, **options)
        print(certificate.report())
        passed &= certificate.passed
        accepted = [s for s in args.n_samples if s not in certificate.skipped]
        tested = {t.problem for t in certificate.tests}
        kinds = [kind for kind in LATENTS if tested & {p.name for p in default_problems(kind)}]
        if kinds:
            _beside(function, "elbo", 2 if 2 in accepted else accepted[0], args.seed, kinds)
        elif tested <= {p.name for p in bound_problems()}:
            _beside(function, "importance_weighted", 2 if 2 in accepted else accepted[0], args.seed, ["gaussian"])
        if not certificate.passed:
            what = "biased" if certificate.failures else "not certified"
            print(
                f"  {certificate.name} is {what}: its variance and ranks above tell little, "
                "for a wrong gradient may well be a quiet one."
            )
        print()
    return 0 if passed else 1


def _require_affordable(bias, level):
    """Raise where what is to be found is so small that the draws, 1,000,000 a problem, tell next to nothing of it."""
    from scipy.special import ndtri

    quantiles = -ndtri(level / 200) - ndtri(0.01)  # some hundred coordinates; to find it with probability 0.99
    needed = (quantiles / bias) ** 2
    if needed > MOST:
        least = 1.05 * quantiles / MOST**0.5
        raise ValueError(
            f"--bias {bias:g} at --level {level:g} takes about {needed:.0e} draws a problem, where a gradient "
            f"spreads by its own norm; {MOST:.0e} is out of reach: give --bias {least:.2g} or more"
        )


def _try(function, sizes, latents):
    """Call a copy of an estimator once, so that what is wrong with it shows before the first long run.

    Raises its own refusal where it refuses every size, of an average over samples and of the bound.
    """
    from tinyvae.check import bound_problems, default_problems

    kind, refusals = tv.estimators.traits(tv.estimators.resolve(function)).objective, []
    tried = [latents] if latents else list(LATENTS)
    cases = [(default_problems(one)[0], size) for one in tried for size in sizes if kind != "bound"]
    cases += [(p, p.n_samples) for one in tried for p in bound_problems(tuple(sizes), one) if kind != "average"]
    for p, size in cases:
        eps, own = p.q.noise(np.random.default_rng(0), size), copy.deepcopy(tv.estimators.resolve(function))
        try:
            draws = own(p.q, p.target, eps, p.objective, np.random.default_rng(0))
        except ValueError as error:
            refusals.append(error)
        else:
            return checked_draws(draws, p.q, eps)
    raise refusals[0]


def _beside(function, objective, n_samples, seed, kinds):
    """Print an estimator's variance and cost beside the built-in ones, on two or three problems."""
    from tinyvae import problems

    rows, kind = [], "average" if objective == "elbo" else "bound"
    named = [(one, latents) for latents in kinds for one in LATENTS[latents]]
    for problem, latents in named if kind == "average" else [("linear_gaussian", "gaussian")]:
        p = problems.make(
            problem, comparison.objective_of(objective) if problem == "linear_gaussian" else None, n_samples
        )
        others = [
            name
            for name in comparison.default_estimators(objective, latents)
            if name != tv.estimators.name_of(function) and tv.estimators.make(name).traits.samples <= n_samples
        ]
        reports = measuring.measure_target(p.q, p.target, [function, *others], p.objective, 10_000, n_samples, seed)
        for i, (name, row) in enumerate(measuring.summary(reports).items()):
            cells = [
                cell
                for block in p.q.blocks
                for cell in (words.interval(row.blocks[block]["variance"]), row.blocks[block]["rank"])
            ]
            asked = f"{row.costs['evaluations']:g} + {row.costs['gradients']:g}"
            rows.append(
                (
                    problem if not i else "",
                    f"{name} (biased)" if row.biased else name,
                    *cells,
                    asked,
                    words.number(row.costs["phi_milliseconds"]),
                )
            )
    print(f"\n  Beside the built-in ones, {words.counted(n_samples, 'sample')} a point:")
    header = (
        "problem",
        "estimator",
        *(cell for block in p.q.blocks for cell in (f"variance, d/d{block}", "rank")),
        "f + df/dz",
        "ms",
    )
    words.print_table(header, *rows, indent=2)
