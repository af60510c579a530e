"""The laboratory's command `check`, which certifies estimators and shows them beside the built-in ones."""

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae import variance as measuring
from tinyvae.cli import words

__all__ = ["check"]


def check(args):
    """Certify estimators, and print each one's certificate and a table of it beside the built-in ones.

    Returns the exit status: 0, or 1 where one is biased. Writes no files.
    """
    from tinyvae.check import bound_problems, unbiased

    words.announce_compilation()
    passed = True
    for word in args.estimators:
        function = words.estimator(word)
        certificate = unbiased(function, n_samples=args.n_samples, level=args.level, bias=args.bias, seed=args.seed)
        print(certificate.report())
        passed &= certificate.passed
        accepted = [s for s in args.n_samples if s not in certificate.skipped]
        bound = {t.problem for t in certificate.tests} <= {p.name for p in bound_problems()}
        _beside(function, "importance_weighted" if bound else "elbo", 2 if 2 in accepted else accepted[0], args.seed)
        if not certificate.passed:
            what = "biased" if certificate.failures else "not certified"
            print(
                f"  {certificate.name} is {what}: its variance and ranks above tell little, "
                "for a wrong gradient may well be a quiet one."
            )
        print()
    return 0 if passed else 1


def _beside(function, objective, n_samples, seed):
    """Print an estimator's variance and cost beside the built-in ones, on two or three problems."""
    from tinyvae import problems

    rows, kind = [], "average" if objective == "elbo" else "bound"
    for problem in ("quadratic", "cosine", "linear_gaussian") if kind == "average" else ("linear_gaussian",):
        p = problems.make(
            problem, comparison.objective_of(objective) if problem == "linear_gaussian" else None, n_samples
        )
        others = [
            name
            for name in (comparison.Settings().estimators if kind == "average" else tv.estimators.names(kind))
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
            rows.append((problem if not i else "", name, *cells, asked, words.number(row.costs["phi_milliseconds"])))
    print(f"\n  Beside the built-in ones, {words.counted(n_samples, 'sample')} a point:")
    header = (
        "problem",
        "estimator",
        *(cell for block in p.q.blocks for cell in (f"variance, d/d{block}", "rank")),
        "f + df/dz",
        "ms",
    )
    words.print_table(header, *rows, indent=2)
