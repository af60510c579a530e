"""The commands' options: their names, types, defaults, units, and `--help`."""

import tinyvae as tv
from tinyvae import compare, estimators, problems
from tinyvae.cli import codes, family, groups, training
from tinyvae.cli import task_options as tasks
from tinyvae.cli.groups import MANY
from tinyvae.cli.types import Parser, count, number_above, path
from tinyvae.problems import certified

__all__ = ["build", "QUICK"]

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
        "Train one VAE with each estimator, side by side, on digits or your own data; a table, a figure, a JSON file.",
        "",
        " --quick",
        " --estimators reparameterization leave_one_out --n-samples 4 --epochs 100",
        " --latents binary",
    )
    short = "a short run: " + ", ".join(f"--{k.replace('_', '-')} {v}" for k, v in QUICK.items())
    one.add_argument("--quick", action="store_true", help=short)
    groups.add_data(one, binarize=False)  # a likelihood of black and white pixels always does
    groups.add_estimators(one, d)
    one.add_argument(
        "--points",
        type=count(2, 1_000_000),
        default=d.points,
        metavar="N",
        help="measurements along training, start and end included",
    )
    groups.add_model(one, d)
    training.add_training(one, d)

    one = command(
        "train",
        "Train a VAE with one estimator, an autoencoder or a VQ-VAE; a model, its history and a figure.",
        "",
        " --data binarized_mnist --hidden 200 200 --n-latents 20 --rate 1e-3",
        " --data my_images/ --hidden 200 --n-latents 10",
        " --estimator leave_one_out --n-samples 8 --binarize",
        " --epochs 1000 --checkpoint out/run.npz",
        " --epochs 500 --patience 20 --schedule cosine --start-at-mean --prior learnt_normal",
        " --latents binary --n-latents 50 --prior learnt_bits",
        " --model autoencoder --n-latents 8",
        " --model vqvae --n-positions 8 --n-codes 16 --likelihood gaussian",
    )
    groups.add_data(one)
    one.add_argument(
        "--estimator",
        default="reparameterization",
        metavar="NAME",
        help="a built-in name (see tinyvae check --help) or file.py:name; "
        f"{compare.default_estimators(latents='binary')[0]} if not given, where --latents are bits or choices",
    )
    training.add_kinds(one)
    codes.add_codes(one)
    groups.add_model(one, d, full=True)
    training.add_training(one, d, n_samples=1)
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

    family.add(command)
    tasks.add(command)

    one = command(
        "variance",
        "Measure estimators side by side on a problem: bias, variance, cost, and a ranking; "
        "tables, a figure, a JSON file.",
        "",
        " --problem quadratic --estimators reparameterization score_function measure_valued",
        " --model out/model.npz --n-samples 8 --decompose",
        " --model out/model-*.npz",
        " --latents binary --n-samples 4",
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
    groups.add_data(one)
    groups.add_estimators(one, d, n_draws=1000)
    one.add_argument(
        "--batch-size",
        type=count(1, MANY),
        default=d.batch_size,
        metavar="N",
        help="data points: the first training rows",
    )
    one.add_argument("--decompose", action="store_true", help="what the minibatch, what the noise adds to the variance")
    one.add_argument(
        "--n-batches",
        type=count(2, MANY),
        default=30,
        metavar="N",
        help="for --decompose: minibatches, and draws of the noise for each",
    )
    groups.add_model(one, d)
    training.add_objective(one, d)

    one = command(
        "check",
        "Certify that estimators are unbiased, and show their variance and cost; exit status 1 if one is biased.",
        " score_function",
        " reparameterization leave_one_out --n-samples 8",
        " disarm",
        " leave_one_out --latents binary",
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
        "--latents",
        choices=tuple(certified.LATENTS),
        metavar="NAME",
        help="of the problems: %(choices)s [gaussian; for an estimator that refuses these both of the others]",
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
        help="units of the encoder's hidden layers",
    )
    one.add_argument("--n-latents", type=count(1, MANY), default=20, metavar="K", help="latents")
    one.add_argument("--batch-size", type=count(1, MANY), default=100, metavar="M", help="data points a step")
    one.add_argument("--dense", action="store_true", help="uniform float32 pixels in place of 13%% ones in uint8")

    one = command(
        "reproduce",
        "Run a published experiment, beside its published numbers; a table, a figure, a JSON file. It can be stopped.",
        "",
        " rainforth2018",
        " burda2016 --recipe full --out out/full",
        arguments=" [NAME]",
    )
    one.add_argument("experiment", nargs="?", metavar="NAME", help="run this one; without it all are listed")
    one.add_argument(
        "--recipe",
        choices=("short", "full", "miniature"),
        default="short",
        metavar="NAME",
        help="short; full, the publication's own; or miniature, which only shows that it runs",
    )
    one.add_argument(
        "--page",
        type=path,
        metavar="FILE",
        help="also write the results into a Markdown page, in the place of this experiment's section if it has one",
    )

    one = command(
        "lessons",
        "List the lessons, run one, or copy them to where they can be edited.",
        "",
        " 05",
        " --copy my_lessons",
        arguments=" [LESSON]",
        out=False,
        seed=False,
    )
    one.add_argument("lesson", nargs="?", metavar="LESSON", help="a number: run this lesson, with figures in --out")
    one.add_argument("--out", type=path, default="out", metavar="DIR", help="folder that a lesson's figures go to")
    one.add_argument(
        "--copy",
        type=path,
        metavar="DIR",
        help="write all lessons, or the one named, and their exercises into this folder; no file there is replaced",
    )

    one = command(
        "exercise",
        "List the exercises, print a lesson's to fill in, or judge a file of answers; status 1 unless all are right.",
        "",
        " 05 > mine_05.py",
        " 05 --check mine_05.py",
        arguments=" [LESSON]",
        out=False,
        seed=False,
    )
    one.add_argument("lesson", nargs="?", metavar="LESSON", help="a number: print the exercises of this lesson")
    one.add_argument(
        "--check",
        type=path,
        metavar="FILE",
        help="the file that holds your answers; they run in an empty folder, and without a keyboard",
    )
    one.add_argument(
        "--seconds",
        type=number_above(0.1, itself=True, most=3600),
        default=10,
        metavar="X",
        help="what each answer may take of computing, and twice as many by the clock",
    )
    return parser, commands


def _needs():
    """A line for each built-in estimator, from what it says of itself."""
    for name in estimators.names():
        yield f"  {name:<20} {estimators.ESTIMATORS[name].traits.words() or 'nothing but f'}"
