"""What `tinyvae train` may be told of the model and the run: the options, and what they stand for."""

import tinyvae as tv
from tinyvae import compare as comparison
from tinyvae import noise, schedules
from tinyvae.cli import codes, groups
from tinyvae.cli.groups import MANY
from tinyvae.cli.types import count, number_above

__all__ = ["add_kinds", "add_training", "add_objective", "IDLE", "model", "run_options"]

SCHEDULES = {
    "constant": lambda rate, n_epochs, n_batches: rate,
    "step": lambda rate, n_epochs, n_batches: schedules.Steps(rate, 0.1, -(-n_epochs // 3) * n_batches),
    "cosine": lambda rate, n_epochs, n_batches: schedules.Cosine(rate, n_epochs * n_batches),
    "burda": lambda rate, n_epochs, n_batches: schedules.Burda(rate, n_batches),
}
DRAWN = (
    "--estimator", "--n-samples", "--objective", "--noise", "--beta", "--kl", "--beta-warmup", "--free-bits",
    "--latents", "--n-ways", "--prior",
)  # fmt: skip
IDLE = {"vae": (), "autoencoder": DRAWN, "vqvae": ("--n-latents", *DRAWN)}  # by model: what it has no use for


def add_kinds(one):
    """The options that say what kind of model is trained.

    Parameters
    ----------
    one : Parser
        Of the command.
    """
    group = one.add_argument_group("kind of model")
    group.add_argument(
        "--model",
        default="vae",
        choices=tuple(IDLE),
        metavar="KIND",
        help="%(choices)s: with latents that are drawn, with a plain code, or with vectors of a codebook",
    )
    groups.add_latents(group)
    group.add_argument(
        "--start-at-mean", action="store_true", help="start the decoder's output bias at the mean of the training data"
    )


def add_training(one, d, n_samples=None):
    """The options of a training run.

    Parameters
    ----------
    one : Parser
        Of the command.
    d : compare.Settings
        The defaults.
    n_samples : int, optional
        The default of --n-samples; None for a command of one estimator or several, which has its own. With it come
        the options of `tinyvae train` alone.
    """
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
        _add_bounds(group)
    objective = add_objective(one, d)
    if n_samples:
        objective.add_argument(
            "--beta-warmup",
            type=count(0, MANY),
            default=0,
            metavar="N",
            help="epochs in which the KL's weight rises from 0 to --beta; 0 for none",
        )
        objective.add_argument(
            "--free-bits",
            type=number_above(0, itself=True),
            default=0.0,
            metavar="X",
            help="nats below which a latent's KL costs no less; 0 for none",
        )


def _add_bounds(group):
    """What changes the rate, and what keeps the parameters in bounds."""
    group.add_argument(
        "--schedule",
        default="constant",
        choices=tuple(SCHEDULES),
        metavar="NAME",
        help="of the rate: %(choices)s; step: a tenth after each third of the run; cosine: to 0 at its end; "
        "burda: 3^i passes at 10^(-i/7) of it, i = 0 to 7. With step and cosine a --checkpoint keeps its --epochs",
    )
    group.add_argument(
        "--weight-decay",
        type=number_above(0, itself=True),
        default=0.0,
        metavar="X",
        help="AdamW's: what a step takes off the parameters, a fraction of them divided by the rate",
    )
    group.add_argument(
        "--clip-norm", type=number_above(0), metavar="X", help="shorten a gradient to this norm; as it is if not given"
    )
    group.add_argument(
        "--patience",
        type=count(1, MANY),
        metavar="N",
        help="early stopping: end after N epochs without a better validation, and keep the best; off if not given",
    )


def add_objective(one, d):
    """The options of the objective.

    Parameters
    ----------
    one : Parser
        Of the command.
    d : compare.Settings
        The defaults.

    Returns
    -------
    argparse group
        Theirs.
    """
    group = one.add_argument_group("objective")
    group.add_argument(
        "--objective",
        default=d.objective,
        choices=comparison.OBJECTIVES,
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
    return group


def model(args, x):
    """The model that the options name, for the training data.

    Parameters
    ----------
    args : argparse.Namespace
        Of `tinyvae train`.
    x : array (n, D)
        The training data.

    Returns
    -------
    VAE, Autoencoder or VQVAE
    """
    shape = x.shape[1], args.n_latents, args.hidden, args.activation, args.likelihood, args.dtype, args.seed
    if args.model == "vqvae":
        made = codes.model(args, x)
    elif args.model == "autoencoder":
        made = tv.Autoencoder(*shape)
    else:
        made = tv.VAE(*shape, latents=groups.latents(args), prior=args.prior)
    if args.start_at_mean:
        made.start_at(x)
    return made


def run_options(args, n_batches, estimator):
    """What `tv.fit` is told beside the data.

    Parameters
    ----------
    args : argparse.Namespace
        Of `tinyvae train`.
    n_batches : int
        Steps an epoch.
    estimator : str or callable

    Returns
    -------
    dict
        `fit`'s options by name; none that estimate for a model that draws no latents.
    """
    rate = SCHEDULES[args.schedule](args.rate, args.epochs, n_batches)
    options = {
        "optimizer": tv.Adam(rate, weight_decay=args.weight_decay),
        **{name: getattr(args, name) for name in ("batch_size", "seed", "clip_norm", "patience")},
    }
    if args.model != "vae":
        return options
    objective = {"objective": _objective(args, n_batches), "estimator": estimator}
    return options | objective | {"n_samples": args.n_samples, "noise": args.noise}


def _objective(args, n_batches):
    if args.free_bits:
        return tv.FreeBits(args.free_bits)
    objective = comparison.objective_of(args.objective, args.beta, args.kl)
    if args.beta_warmup:
        return tv.ELBO(schedules.Linear(0.0, args.beta, args.beta_warmup * n_batches), args.kl)
    return objective
