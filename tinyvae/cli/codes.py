"""What `tinyvae train --model vqvae` may be told of its codes, and the prior that they get after the training."""

import inspect

import tinyvae as tv
from tinyvae.cli import words
from tinyvae.cli.groups import MANY
from tinyvae.cli.types import count, number_above
from tinyvae.models.codes_prior import CODES_PRIORS
from tinyvae.models.quantization import perplexity
from tinyvae.models.vq import CODEBOOK_BY

__all__ = ["add_codes", "CODES", "model", "fit_prior"]

CODES = "--n-positions", "--n-codes", "--code-size", "--codebook-by", "--commitment", "--decay", "--revive"
PATIENCE = 10  # epochs without a better validation, after which the prior's training ends


def add_codes(one):
    """The options of a VQ-VAE's codes.

    Parameters
    ----------
    one : Parser
        Of the command.
    """
    defaults = inspect.signature(tv.VQVAE).parameters
    group = one.add_argument_group("codes, of --model vqvae")
    for name, value, least, what in (
        ("n-positions", 8, 1, "vectors in a code"),
        ("n-codes", 16, 2, "vectors in the codebook"),
        ("code-size", 2, 1, "numbers in a vector"),
    ):
        group.add_argument(f"--{name}", type=count(least, MANY), default=value, metavar="N", help=what)
    group.add_argument(
        "--codebook-by",
        default=CODEBOOK_BY[0],
        choices=CODEBOOK_BY,
        metavar="NAME",
        help="how the codebook learns: %(choices)s",
    )
    for name, most, what in (
        ("commitment", None, "weight of the encoder's distance to its codes"),
        ("decay", 0.999_999, "what the moving averages of the codes' use keep at a step"),
        ("revive", 0.999_999, "the share of the mean use below which a code is put on the data; 0 for never"),
    ):
        kind = number_above(0, itself=True, **({} if most is None else {"most": most}))
        group.add_argument(f"--{name}", type=kind, default=defaults[name].default, metavar="X", help=what)
    group.add_argument(
        "--codes-prior",
        default="autoregressive",
        choices=tuple(CODES_PRIORS),
        metavar="NAME",
        help="%(choices)s: what tinyvae sample draws codes from; fitted after the model, with its --hidden, "
        f"--batch-size, --rate and at most its --epochs, until {PATIENCE} bring no better validation",
    )


def model(args, x):
    """The VQ-VAE that the options name.

    Parameters
    ----------
    args : argparse.Namespace
        Of `tinyvae train`.
    x : array (n, D)
        The training data.

    Returns
    -------
    VQVAE

    Raises
    ------
    ValueError
        For more codes than the data have vectors.
    """
    if args.n_codes > (most := len(x) * args.n_positions):
        raise ValueError(
            f"--n-codes {args.n_codes:,} is more than the training data have vectors, {most:,}: --n-positions "
            f"{args.n_positions} in each of {len(x):,} rows; give fewer codes"
        )
    names = "hidden", "activation", "likelihood", "dtype", "seed", *(o.strip("-").replace("-", "_") for o in CODES)
    return tv.VQVAE(x.shape[1], **{name: getattr(args, name) for name in names})


def fit_prior(vqvae, data, args):
    """Fit the prior of a trained VQ-VAE's codes, and say what it costs and how many codes are in use.

    Parameters
    ----------
    vqvae : VQVAE
        Its `codes_prior` is set.
    data : Dataset
        What it was trained and validated on.
    args : argparse.Namespace
        Of `tinyvae train`.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C ended it; the prior is then as far as it came.
    """
    codes, held_out = vqvae.encode(data.train), vqvae.encode(data.test)
    sizes = vqvae.n_positions, vqvae.n_codes
    vqvae.codes_prior = apart = tv.models.PositionPrior(*sizes, codes)
    said = f"one categorical a position {-apart.log_prob(held_out).mean():.2f}"
    if args.codes_prior == "autoregressive":
        words.say(f"The prior of the codes, for {words.counted(len(codes), 'row')} of {sizes[0]}:")
        prior = tv.models.AutoregressivePrior(*sizes, args.hidden, dtype=args.dtype, seed=args.seed)
        prior.start_at(codes)
        run = {"batch_size": args.batch_size, "optimizer": tv.Adam(args.rate), "seed": args.seed, "patience": PATIENCE}
        history = tv.fit(prior, codes, held_out, epochs=args.epochs, **run)
        vqvae.codes_prior = prior
        if history.interrupted:
            raise KeyboardInterrupt
        said = f"autoregressive {prior.held_out(held_out).loss:.2f}, {said}"
    apart = perplexity(vqvae.use(data.test))
    words.say(
        f"Codes on validation: perplexity {vqvae.perplexity(data.test):.1f} of {sizes[1]}, of a position alone "
        f"{apart.min():.1f} to {apart.max():.1f}; nats a data point under their prior: {said}"
    )
