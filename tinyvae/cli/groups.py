"""Groups of options that several commands have: data, estimators, model."""

from tinyvae import compare, datasets, distributions, likelihoods, mlp
from tinyvae.cli.types import count, data, likelihood

__all__ = ["add_data", "add_estimators", "add_model", "add_latents", "latents", "fit_latents", "MANY", "DISCRETE"]

DISCRETE = {"binary": 10, "categorical": 2}  # latents of a model unless told otherwise: 10 bits, two choices of 10 ways
MANY = 1_000_000_000  # what no size or number of epochs comes near
LIKELIHOODS = "gaussian:variance=per_pixel,mean=sigmoid or categorical:levels=256"


def add_data(one, binarize=True):
    """Add the options of the data.

    Parameters
    ----------
    one : Parser
        The command's.
    binarize : bool
        Whether --binarize is one of them.
    """
    group = one.add_argument_group("data")
    group.add_argument(
        "--data",
        default="digits",
        type=data,
        metavar="FILE",
        help="your own npy, npz, csv or IDX file, or folder of images; or a name: "
        + "; ".join(f"{name}: {datasets.KINDS[name]}" for name in datasets.names())
        + ". Those that are not downloaded are, digits apart, files in the folder that TINYVAE_DATA names",
    )
    if binarize:
        words = "draw each pixel once as black or white, by the seed"
        group.add_argument("--binarize", action="store_true", help=words)


def add_estimators(one, d, n_draws=None):
    """Add the options of the estimators, and of how their variance is measured.

    Parameters
    ----------
    one : Parser
        The command's.
    d : Settings
        The defaults, of `tinyvae.compare`.
    n_draws : int, optional
        Another default of --n-draws.
    """
    group = one.add_argument_group("estimators")
    given, discrete = (" ".join(compare.default_estimators(latents=latents)) for latents in ("gaussian", "binary"))
    kinds = "built-in names" if n_draws is None else "built-in names, or file.py:name for a function of your own"
    group.add_argument(
        "--estimators",
        nargs="+",
        metavar="NAME",
        help=f"{kinds}; tinyvae check --help lists the names [{given}; of bits and choices {discrete}; or those of the "
        "bound]",
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


def add_model(one, d, full=False):
    """Add the options of the model.

    Parameters
    ----------
    one : Parser
        The command's.
    d : Settings
        The defaults, of `tinyvae.compare`.
    full : bool
        Whether activation and dtype may be chosen, too.
    """
    group = one.add_argument_group("model")
    group.add_argument(
        "--hidden",
        type=count(1, MANY),
        nargs="+",
        default=d.hidden,
        metavar="N",
        help="units in each hidden layer of the encoder; the decoder mirrors them",
    )
    many = f"latent dimensions; of bits {DISCRETE['binary']} unless given"
    group.add_argument("--n-latents", type=count(1, MANY), default=d.n_latents, metavar="K", help=many)
    if not full:
        add_latents(group)
    words = f"of a pixel: {', '.join(likelihoods.names())}; options as in {LIKELIHOODS}"
    group.add_argument("--likelihood", type=likelihood, default=d.likelihood, metavar="NAME", help=words)
    if full:
        group.add_argument(
            "--activation", default="tanh", choices=tuple(mlp.ACTIVATIONS), metavar="NAME", help="%(choices)s"
        )
        group.add_argument(
            "--dtype",
            default="float32",
            choices=("float32", "float64"),
            metavar="TYPE",
            help="of the numbers: %(choices)s",
        )


def add_latents(group):
    """Add the options that say what the latents are.

    Parameters
    ----------
    group : argparse group
        Of the command.
    """
    group.add_argument(
        "--latents",
        default="gaussian",
        choices=tuple(distributions.LATENTS),
        metavar="NAME",
        help="q(z | x): %(choices)s; full_gaussian: with covariances; binary: bits; categorical: one of --n-ways each",
    )
    group.add_argument(
        "--n-ways", type=count(2, MANY), default=10, metavar="N", help="of each latent of --latents categorical"
    )
    group.add_argument(
        "--prior",
        choices=tuple(distributions.PRIORS),
        metavar="NAME",
        help="p(z): %(choices)s; the learnt ones are learnt with the model [what belongs to --latents: "
        "standard_normal, bits or categories]",
    )


def latents(args):
    """What --latents and --n-ways name, as `tv.VAE` takes it.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    str or OneHot
    """
    return distributions.OneHot(args.n_ways) if args.latents == "categorical" else args.latents


def fit_latents(args, given):
    """Put in place what was not given and depends on --latents: the prior, how many latents, the estimator.

    Parameters
    ----------
    args : argparse.Namespace
        It is changed.
    given : set of str
        The options that were given.
    """
    if args.prior is None:
        args.prior = distributions.resolve(args.latents).prior.name
    if args.latents not in DISCRETE:
        return
    if "--n-latents" not in given:
        args.n_latents = DISCRETE[args.latents]
    if args.command == "train" and "--estimator" not in given:
        args.estimator = compare.default_estimators(args.objective, args.latents)[0]
