"""The command line's options: their names, types, defaults, units, and `--help`.

A value that cannot be right is refused here, before anything is loaded; what depends on more than one
value is refused by the functions that take them.
"""

import os
import sys

from tinyvae import compare, distributions
from tinyvae.cli import codes, groups, training
from tinyvae.cli.parsers import QUICK, build

__all__ = ["parse"]


def parse(argv=None):
    """One command line as a namespace.

    Where it does not fit, one line on the standard error says why.

    Parameters
    ----------
    argv : list of str, optional
        The words after `tinyvae`; those of this process if None.

    Returns
    -------
    argparse.Namespace
        `command` is the command's name, `idle` the set of the options' names that it has no use for, given the others,
        `written` the list that the results' paths will be put on, `kept` what an early ending will say of them.

    Raises
    ------
    SystemExit
        With status 2 where the words do not fit, 0 for --help and --version.
    """
    parser, commands = build()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        answers = args.command == "exercise" and not args.check and os.path.isfile(unknown[-1])
        hint = f"; to judge a file: --check {unknown[-1]}" if answers else ""
        commands[args.command].error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if args.command == "compare" and args.quick:
        commands["compare"].set_defaults(**QUICK)  # what is given beside --quick still wins
        args = parser.parse_args(argv)
    given = {word.partition("=")[0] for word in (sys.argv[1:] if argv is None else argv)}
    if args.command == "exercise" and args.check and args.lesson is None:
        commands["exercise"].error(
            f"answers are to one lesson's exercises, give its number: tinyvae exercise 05 --check {args.check}"
        )
    args.idle, args.written, args.kept = set(), [], ""
    for options, why in _idle(args):
        if found := [option for option in options if option in given]:
            commands[args.command].error(f"{why}: leave out {' and '.join(found)}")
        args.idle |= {option.strip("-").replace("-", "_") for option in options}
    if hasattr(args, "n_ways"):
        groups.fit_latents(args, given)
    if args.command == "compare" and args.estimators is None:
        args.estimators = compare.default_estimators(args.objective, args.latents)
    if "out" in args.idle:
        del args.out  # no folder is made
    return args


def _idle(args):
    """Yield (options, why): those that this command line has no use for, which are refused where they are given."""
    if getattr(args, "objective", None) == "importance_weighted":
        yield ("--kl",), "the importance-weighted bound takes the KL by sampling"
    if getattr(args, "walk", None) == "traverse":
        yield ("--n",), "--traverse shows each latent in a row of its own"
    if args.command == "exercise" and not args.check:
        yield ("--seconds",), "without --check nothing is judged"
    if args.command == "lessons" and (args.copy or args.lesson is None):
        yield ("--out",), "no lesson is run" if args.copy else "without a lesson's number none is run"
    if getattr(args, "latents", None) in distributions.LATENTS and args.latents != "categorical":
        yield ("--n-ways",), f"only categorical latents have ways, and those of --latents {args.latents} have none"
    if args.command == "reproduce" and args.experiment is None:
        yield ("--recipe", "--page", "--seed", "--out"), "without an experiment's name all are listed and none is run"
    if args.command == "train":
        yield from _idle_in_training(args)
    if args.command != "variance":
        return
    if args.problem:
        model = (
            "--model --data --binarize --batch-size --hidden --n-latents --latents --n-ways --prior --likelihood "
            "--decompose --n-batches"
        )
        yield model.split(), f"--problem {args.problem} is measured without a model and its data"
        if args.problem != "linear_gaussian":
            yield (
                ("--objective", "--beta", "--kl"),
                f"--problem {args.problem} is a plain expectation; only linear_gaussian and models have a bound",
            )
    if args.model:
        yield (
            "--hidden --n-latents --latents --n-ways --prior --likelihood".split(),
            "a model from --model has its own layers and latents",
        )
        if len(args.model) > 1 and args.decompose:
            yield (
                ("--decompose", "--n-batches"),
                "the parts of the variance are for one model, and --model names several",
            )
    if not args.decompose:
        yield ("--n-batches",), "without --decompose no minibatches are drawn"


def _idle_in_training(args):
    """The same of `tinyvae train` alone."""
    if args.model != "vqvae":
        yield (*codes.CODES, "--codes-prior"), "only a model of the kind vqvae has a codebook"
    if training.IDLE[args.model]:
        yield training.IDLE[args.model], f"a model of the kind {args.model} draws no latents"
    elif args.free_bits:
        yield (
            ("--objective", "--beta", "--kl", "--beta-warmup"),
            "--free-bits is an objective of its own, its KL in closed form and with weight 1",
        )
    elif args.objective == "importance_weighted":
        yield ("--beta-warmup",), "the importance-weighted bound has no beta"
