"""The commands' options: their names, types, defaults, units, and `--help`."""

import tinyvae as tv
from tinyvae import compare, datasets, estimators, likelihoods, mlp, noise, problems
from tinyvae.cli import task_options as tasks
from tinyvae.cli.types import Parser, count, number_above, path

__all__ = ["build", "ESTIMATORS", "QUICK"]

ESTIMATORS = {"elbo": compare.Settings().estimators, "importance_weighted": tuple(estimators.names("bound"))}
MANY = 1_000_000_000  # what no size or number of epochs comes near
QUICK = {"epochs": 10, "points": 3, "n_draws": 100}


def build():
    """The parser, and those of its commands.

    Returns
    -------
    Parser
        For a whole command line.
    dict
        {command: its Parser}.
    """
    parser = Parser(
        prog="tinyvae",
        description="Variational autoencoders from scratch: what each gradient estimator costs and gives.",
        epilog="Start with:  tinyvae compare\nOptions and an example of each command:  tinyvae COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"tinyvae {tv.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands = {}

    def command(name, summary, *examples, arguments="", out=True, seed=True, more=""):
        epilog = "examples:\n" + "\n".join(f"  tinyvae {name}{example}" for example in examples) + more
        usage = f"tinyvae {name}{arguments} [options]"
        commands[name] = one = subparsers.add_parser(
            name, help=summary, description=summary, epilog=epilog, usage=usage
        )
        if seed:
            one.add_argument(
                "--seed",
                type=count(0),
                default=0,
                metavar="N",
                help="of all that is random; the same seed gives the same numbers, times apart",
            )
        if out:
            words = "folder for the results, made if missing"
            one.add_argument("--out", type=path, default="out", metavar="DIR", help=words)
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
        type=count(2, 1_000_000),
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
        type=count(0, MANY),
        default=0,
        metavar="N",
        help="epochs: keep a series model-0000.npz, ... for tinyvae variance; 0 for none",
    )
    one.add_argument(
        "--checkpoint",
        type=path,
        metavar="FILE",
        help="written after each epoch, with all that the run is made of; a run that was interrupted goes on after "
        "its last whole epoch when the same command is given again, and a finished one when --epochs is raised",
    )

    tasks.add(command)

    one = command(
        "variance",
        "Measure estimators side by side on a problem: bias, variance, cost, and a ranking; "
        "tables, a figure, a JSON file.",
        "",
        " --problem quadratic --estimators reparameterization score_function measure_valued",
        " --model out/model.npz --n-samples 8 --decompose",
        " --model out/model-*.npz",
        " --objective importance_weighted --n-samples 16",
    )
    one.add_argument("--problem", choices=problems.names(), metavar="NAME", help="%(choices)s; a model if not given")
    one.add_argument(
        "--model",
        type=path,
        nargs="+",
        metavar="FILE",
        help="a model that tinyvae train saved, or a series of them in order; a fresh one if not given",
    )
    _add_data(one)
    _add_estimators(one, d, n_draws=1000)
    one.add_argument(
        "--batch-size",
        type=count(1, MANY),
        default=d.batch_size,
        metavar="N",
        help="data points: the first training rows",
    )
    why = "how much of the variance comes from the minibatch, how much from the latent noise"
    one.add_argument("--decompose", action="store_true", help=why)
    one.add_argument(
        "--n-batches",
        type=count(2, MANY),
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
        more="\n\nestimators, and what each needs:\n" + "\n".join(_needs()),
    )
    one.add_argument(
        "estimators",
        nargs="+",
        metavar="ESTIMATOR",
        help="file.py:name, a function (q, target, eps, objective, rng) -> Draws of your own, "
        "or a name from the list below",
    )
    one.add_argument(
        "--n-samples",
        type=count(1, MANY),
        nargs="+",
        default=(1, 2, 3, 8),
        metavar="S",
        help="samples a data point; a number that the estimator refuses is named",
    )
    one.add_argument(
        "--level",
        type=number_above(1e-12, itself=True, most=1),  # what rounding leaves of the normal tail
        default=0.01,
        metavar="P",
        help="probability, at most, that a correct estimator fails",
    )
    one.add_argument(
        "--bias",
        type=number_above(0),
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
    one.add_argument("--n-features", type=count(1, MANY), default=784, metavar="D", help="pixels of the synthetic data")
    one.add_argument(
        "--hidden",
        type=count(1, MANY),
        nargs="+",
        default=(500,),
        metavar="N",
        help="units of the encoder's hidden layers; the decoder mirrors them",
    )
    one.add_argument("--n-latents", type=count(1, MANY), default=20, metavar="K", help="latents")
    one.add_argument("--batch-size", type=count(1, MANY), default=100, metavar="M", help="data points a step")
    one.add_argument("--dense", action="store_true", help="uniform float32 pixels in place of 13%% ones in uint8")
    return parser, commands


def _needs():
    """A line for each built-in estimator, from what it says of itself."""
    for name in estimators.names():
        yield f"  {name:<20} {estimators.ESTIMATORS[name].traits.words() or 'nothing but f'}"


def _add_data(one):
    group = one.add_argument_group("data")
    group.add_argument(
        "--data",
        default="digits",
        choices=datasets.names(),
        metavar="NAME",
        help="; ".join(f"{name}: {datasets.KINDS[name]}" for name in datasets.names())
        + ". All but digits are files in the folder that the environment variable TINYVAE_DATA names",
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
        "--n-samples",
        type=count(1, MANY),
        default=d.n_samples,
        metavar="S",
        help="samples a data point in each estimate",
    )
    group.add_argument(
        "--n-draws",
        type=count(2, MANY),
        default=n_draws or d.n_draws,
        metavar="N",
        help="replicates of each estimate, for its variance",
    )


def _add_model(one, d, full=False):
    group = one.add_argument_group("model")
    group.add_argument(
        "--hidden",
        type=count(1, MANY),
        nargs="+",
        default=d.hidden,
        metavar="N",
        help="units in each hidden layer of the encoder; the decoder mirrors them",
    )
    group.add_argument("--n-latents", type=count(1, MANY), default=d.n_latents, metavar="K", help="latent dimensions")
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
    group.add_argument(
        "--epochs", type=count(1, MANY), default=d.epochs, metavar="N", help="passes over the training data"
    )
    group.add_argument(
        "--batch-size", type=count(1, MANY), default=d.batch_size, metavar="N", help="data points a step"
    )
    group.add_argument(
        "--rate", type=number_above(0), default=d.rate, metavar="X", help="Adam's step size, in units of the parameters"
    )
    if n_samples:
        group.add_argument(
            "--n-samples",
            type=count(1, MANY),
            default=n_samples,
            metavar="S",
            help="samples a data point in each estimate",
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
        type=number_above(0, itself=True),
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
