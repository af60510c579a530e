"""The command line's options: their names, types, defaults, units, and `--help`.

A value that cannot be right is refused here, before anything is loaded; what depends on more than one
value is refused by the functions that take them.
"""

import argparse
import math
import sys

import tinyvae as tv
from tinyvae import compare, datasets, estimators, likelihoods, mlp, noise, problems

ESTIMATORS = {"elbo": compare.Settings().estimators, "importance_weighted": tuple(estimators.names("bound"))}
QUICK = {"epochs": 10, "points": 3, "n_draws": 100}


def parse(argv=None):
    """The namespace of one command line, `argv`, or this process's if None; `command` is the command's name.

    Where it does not fit, one line on the standard error and SystemExit, with status 2.
    """
    parser, commands = _build()
    args = parser.parse_args(argv)
    if args.command == "compare" and args.quick:
        commands["compare"].set_defaults(**QUICK)  # what is given beside --quick still wins
        args = parser.parse_args(argv)
    given = {word.partition("=")[0] for word in (sys.argv[1:] if argv is None else argv)}
    for options, why in _idle(args):
        if found := [option for option in options if option in given]:
            commands[args.command].error(f"{why}: leave out {' and '.join(found)}")
    if args.command in ("compare", "variance") and args.estimators is None:
        args.estimators = ESTIMATORS[args.objective]
    return args


def _idle(args):
    """Yield (options, why): those that this command line has no use for, which are refused where they are given."""
    if getattr(args, "objective", None) == "importance_weighted":
        yield ("--kl",), "the importance-weighted bound takes the KL by sampling"
    if args.command != "variance":
        return
    if args.problem:
        model = (
            "--model",
            "--data",
            "--binarize",
            "--batch-size",
            "--hidden",
            "--n-latents",
            "--decompose",
            "--n-batches",
        )
        yield model, f"--problem {args.problem} is measured without a model and its data"
        if args.problem != "linear_gaussian":
            yield (
                ("--objective", "--beta", "--kl"),
                f"--problem {args.problem} is a plain expectation; only linear_gaussian and models have a bound",
            )
    if args.model:
        yield ("--hidden", "--n-latents"), "a model from --model has its own layers and latents"
        if len(args.model) > 1 and args.decompose:
            yield (
                ("--decompose", "--n-batches"),
                "the parts of the variance are for one model, and --model names several",
            )
    if not args.decompose:
        yield ("--n-batches",), "without --decompose no minibatches are drawn"


def _build():
    """The parser, and {command: its parser}."""
    parser = _Parser(
        prog="tinyvae",
        description="Variational autoencoders from scratch: what each gradient estimator costs and gives.",
        epilog="Start with:  tinyvae compare\nOptions and an example of each command:  tinyvae COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"tinyvae {tv.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands = {}

    def command(name, summary, *examples, arguments="", out=True, seed=True):
        epilog = "examples:\n" + "\n".join(f"  tinyvae {name}{example}" for example in examples)
        usage = f"tinyvae {name}{arguments} [options]"
        commands[name] = one = subparsers.add_parser(
            name, help=summary, description=summary, epilog=epilog, usage=usage
        )
        if seed:
            one.add_argument(
                "--seed",
                type=_count(0),
                default=0,
                metavar="N",
                help="of all that is random; the same seed gives the same numbers, times apart",
            )
        if out:
            one.add_argument("--out", default="out", metavar="DIR", help="folder for the results, made if missing")
        return one

    d = compare.Settings()
    one = command(
        "compare",
        "Train one VAE with each estimator, side by side, on real digits; a table, a figure, a JSON file.",
        "",
        " --quick",
        " --estimators reparameterization leave_one_out --n-samples 4 --epochs 100",
    )
    one.add_argument(
        "--quick",
        action="store_true",
        help="a short run: " + ", ".join(f"--{k.replace('_', '-')} {v}" for k, v in QUICK.items()),
    )
    _add_estimators(one, d)
    one.add_argument(
        "--points",
        type=_count(2),
        default=d.points,
        metavar="N",
        help="measurements along training, start and end included",
    )
    _add_model(one, d)
    _add_training(one, d)

    one = command(
        "train",
        "Train a VAE with one estimator; a model, its history and a figure.",
        "",
        " --data binarized_mnist --hidden 200 200 --n-latents 20 --rate 1e-3",
        " --estimator leave_one_out --n-samples 8 --binarize",
        " --epochs 1000 --checkpoint out/run.npz",
    )
    _add_data(one)
    one.add_argument(
        "--estimator",
        default="reparameterization",
        metavar="NAME",
        help="a built-in name (see tinyvae check --help) or file.py:name",
    )
    _add_model(one, d, full=True)
    _add_training(one, d, n_samples=1)
    one.add_argument(
        "--save-every",
        type=_count(0),
        default=0,
        metavar="N",
        help="epochs: keep a series model-0000.npz, ... for tinyvae variance; 0 for none",
    )
    one.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="written after each epoch, with all that the run is made of; a run that was interrupted goes on after "
        "its last whole epoch when the same command is given again, and a finished one when --epochs is raised",
    )

    one = command("sample", "Draw images from a saved model; a figure.", "", " --model out/model.npz --n 200 --seed 1")
    one.add_argument("--model", default="out/model.npz", metavar="FILE", help="a model that tinyvae train saved")
    one.add_argument("--n", type=_count(1), default=100, metavar="N", help="number of images")
    one.add_argument(
        "--image-shape",
        type=_count(1),
        nargs=2,
        metavar=("ROWS", "COLUMNS"),
        help="pixels; the most square one that fits if not given",
    )

    one = command(
        "variance",
        "Measure estimators side by side on a problem: bias, variance, cost, and a ranking; tables, a figure, a JSON file.",
        "",
        " --problem quadratic --estimators reparameterization score_function measure_valued",
        " --model out/model.npz --n-samples 8 --decompose",
        " --model out/model-*.npz",
        " --objective importance_weighted --n-samples 16",
    )
    one.add_argument("--problem", choices=problems.names(), metavar="NAME", help="%(choices)s; a model if not given")
    one.add_argument(
        "--model",
        nargs="+",
        metavar="FILE",
        help="a model that tinyvae train saved, or a series of them in order; a fresh one if not given",
    )
    _add_data(one)
    _add_estimators(one, d, n_draws=1000)
    one.add_argument(
        "--batch-size", type=_count(1), default=d.batch_size, metavar="N", help="data points: the first training rows"
    )
    one.add_argument(
        "--decompose",
        action="store_true",
        help="how much of the variance comes from the minibatch, how much from the latent noise",
    )
    one.add_argument(
        "--n-batches",
        type=_count(2),
        default=30,
        metavar="N",
        help="for --decompose: minibatches, and draws of the noise for each",
    )
    _add_model(one, d)
    _add_objective(one, d)

    one = command(
        "check",
        "Certify that estimators are unbiased, and show their variance and cost; exit status 1 if one is biased.",
        " score_function",
        " reparameterization leave_one_out --n-samples 8",
        " my_estimator.py:my_function",
        arguments=" ESTIMATOR ...",
        out=False,
    )
    one.add_argument(
        "estimators",
        nargs="+",
        metavar="ESTIMATOR",
        help="file.py:name, a function (q, target, eps, objective, rng) -> Draws of your own, or one of "
        + ", ".join(estimators.names()),
    )
    one.add_argument(
        "--n-samples",
        type=_count(1),
        nargs="+",
        default=(1, 2, 3, 8),
        metavar="S",
        help="samples a data point; a number that the estimator refuses is named",
    )
    one.add_argument(
        "--level",
        type=_number_above(0, most=1),
        default=0.01,
        metavar="P",
        help="probability, at most, that a correct estimator fails",
    )
    one.add_argument(
        "--bias",
        type=_number_above(0),
        default=0.1,
        metavar="X",
        help="the bias to find, as a fraction of the gradient's norm",
    )

    one = command(
        "bench",
        "Time one training step beside its bare matrix products, and show where the time goes.",
        "",
        " --n-features 64 --hidden 128 --n-latents 2",
        out=False,
        seed=False,
    )
    one.add_argument("--n-features", type=_count(1), default=784, metavar="D", help="pixels of the synthetic data")
    one.add_argument(
        "--hidden",
        type=_count(1),
        nargs="+",
        default=(500,),
        metavar="N",
        help="units of the encoder's hidden layers; the decoder mirrors them",
    )
    one.add_argument("--n-latents", type=_count(1), default=20, metavar="K", help="latents")
    one.add_argument("--batch-size", type=_count(1), default=100, metavar="M", help="data points a step")
    one.add_argument("--dense", action="store_true", help="uniform float32 pixels in place of 13%% ones in uint8")
    return parser, commands


def _add_data(one):
    group = one.add_argument_group("data")
    group.add_argument(
        "--data",
        default="digits",
        choices=datasets.names(),
        metavar="NAME",
        help="%(choices)s; all but digits need the folder TINYVAE_DATA",
    )
    group.add_argument("--binarize", action="store_true", help="draw each pixel once as black or white, by the seed")


def _add_estimators(one, d, n_draws=None):
    group = one.add_argument_group("estimators")
    given = " ".join(ESTIMATORS["elbo"])
    kinds = "built-in names" if n_draws is None else "built-in names, or file.py:name for a function of your own"
    group.add_argument(
        "--estimators",
        nargs="+",
        metavar="NAME",
        help=f"{kinds}; tinyvae check --help lists the names [{given}, or those of the bound]",
    )
    group.add_argument(
        "--n-samples", type=_count(1), default=d.n_samples, metavar="S", help="samples a data point in each estimate"
    )
    group.add_argument(
        "--n-draws",
        type=_count(2),
        default=n_draws or d.n_draws,
        metavar="N",
        help="replicates of each estimate, for its variance",
    )


def _add_model(one, d, full=False):
    group = one.add_argument_group("model")
    group.add_argument(
        "--hidden",
        type=_count(1),
        nargs="+",
        default=d.hidden,
        metavar="N",
        help="units in each hidden layer of the encoder; the decoder mirrors them",
    )
    group.add_argument("--n-latents", type=_count(1), default=d.n_latents, metavar="K", help="latent dimensions")
    if full:
        group.add_argument(
            "--activation", default="tanh", choices=tuple(mlp.ACTIVATIONS), metavar="NAME", help="%(choices)s"
        )
        group.add_argument(
            "--likelihood",
            default="bernoulli",
            choices=likelihoods.names(),
            metavar="NAME",
            help="of a pixel: %(choices)s",
        )
        group.add_argument(
            "--dtype",
            default="float32",
            choices=("float32", "float64"),
            metavar="TYPE",
            help="of the numbers: %(choices)s",
        )


def _add_training(one, d, n_samples=None):
    group = one.add_argument_group("training")
    group.add_argument("--epochs", type=_count(1), default=d.epochs, metavar="N", help="passes over the training data")
    group.add_argument("--batch-size", type=_count(1), default=d.batch_size, metavar="N", help="data points a step")
    group.add_argument(
        "--rate",
        type=_number_above(0),
        default=d.rate,
        metavar="X",
        help="Adam's step size, in units of the parameters",
    )
    if n_samples:
        group.add_argument(
            "--n-samples", type=_count(1), default=n_samples, metavar="S", help="samples a data point in each estimate"
        )
    _add_objective(one, d)


def _add_objective(one, d):
    group = one.add_argument_group("objective")
    group.add_argument(
        "--objective",
        default=d.objective,
        choices=compare.OBJECTIVES,
        metavar="NAME",
        help="%(choices)s: the bound of one sample, or the tighter one of all S",
    )
    group.add_argument(
        "--noise",
        default=d.noise,
        choices=tuple(noise.SCHEMES),
        metavar="NAME",
        help="how the S samples of a point are drawn: %(choices)s",
    )
    group.add_argument(
        "--beta",
        type=_number_above(0, itself=True),
        default=d.beta,
        metavar="X",
        help="weight of the KL; 1 gives the ELBO",
    )
    group.add_argument(
        "--kl",
        default=d.kl,
        choices=("analytic", "monte_carlo"),
        metavar="FORM",
        help="%(choices)s: in closed form, or averaged over the samples",
    )


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and shows every default."""

    def __init__(self, **options):
        super().__init__(formatter_class=_Help, allow_abbrev=False, **options)

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Appends the default to each option's help."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=34, width=110)

    def _get_help_string(self, action):
        if action.default in (None, argparse.SUPPRESS) or action.const is True or not action.option_strings:
            return action.help
        default = " ".join(map(str, action.default)) if isinstance(action.default, (list, tuple)) else action.default
        return f"{action.help} [{default}]"


def _count(least):
    """An argparse type: a whole number of at least `least`."""

    def parse(word):
        try:
            value = int(word)
        except ValueError:
            value = None
        if value is None or value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {word!r}")
        return value

    return parse


def _number_above(least, itself=False, most=math.inf):
    """An argparse type: a finite number above `least`, or `least` itself, and at most `most`."""

    def parse(word):
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or value > most or (value == least and not itself):
            bounds = f"{'of at least' if itself else 'above'} {least}" + f" and at most {most}" * (most < math.inf)
            raise argparse.ArgumentTypeError(f"must be a number {bounds}, got {word!r}")
        return value

    return parse
