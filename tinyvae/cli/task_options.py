"""The options of the commands that use a saved model: sample, fill and evaluate."""

from tinyvae.cli.groups import add_data
from tinyvae.cli.types import count, path
from tinyvae.evaluate.imputation import METHODS

__all__ = ["add"]

MANY = 1_000_000_000  # what no size comes near
SAVED = "a model that tinyvae train saved"


def add(command):
    """Add the parsers of sample, fill and evaluate.

    Parameters
    ----------
    command : function
        (name, summary, *examples, arguments) -> a Parser, as `parsers.build` has it.
    """
    one = command(
        "sample",
        "Draw images from a saved model, or walk through its latent space; a figure.",
        " --model out/model.npz --n 200 --seed 1",
        " --draw",
        " --manifold --n 400",
        " --traverse",
    )
    one.add_argument("--model", type=path, default="out/model.npz", metavar="FILE", help=SAVED)
    one.add_argument(
        "--n", type=count(1, MANY), default=100, metavar="N", help="number of images; a walk takes a whole grid of them"
    )
    what = "draw each pixel, too, as data are; without it the images are means, what to expect at each code"
    one.add_argument("--draw", action="store_true", help=what)
    _add_shape(one)
    walks = one.add_argument_group("walks, in place of codes drawn from the prior").add_mutually_exclusive_group()
    for name, what in (
        ("manifold", "the plane of the first two latents, over equal parts of the prior (its inverse CDF)"),
        ("interpolate", "rows of 10, each on a straight line between two codes drawn from the prior"),
        ("traverse", "a row for each latent, from its 2.5%% to its 97.5%% quantile, the others at their median"),
    ):
        walks.add_argument(f"--{name}", dest="walk", action="store_const", const=name, help=what)

    one = command(
        "fill",
        "Fill in what is missing in data, by a saved model; draws in a file, and a figure.",
        " out/model.npz --data holes.npy",
        " out/model.npz --data holes.npy --n-draws 50 --n-steps 2000",
        arguments=" MODEL --data FILE",
    )
    one.add_argument("model", type=path, metavar="MODEL", help=SAVED)
    one.add_argument(
        "--data",
        type=path,
        required=True,
        metavar="FILE",
        help="what to fill in, in the model's units, of a kind that tinyvae train reads; missing is NaN, an empty csv "
        "field, or a pixel that is transparent (alpha 0)",
    )
    one.add_argument("--n-draws", type=count(1, MANY), default=10, metavar="N", help="draws of each row")
    steps = "of the Markov chain behind each draw; enough, if ten times as many change nothing"
    one.add_argument("--n-steps", type=count(1, MANY), default=500, metavar="N", help=steps)
    one.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        metavar="NAME",
        help="%(choices)s: the second is right only where the encoder is",
    )
    _add_shape(one)

    one = command(
        "evaluate",
        "How good a saved model is: bound, log p(x), rates, its latent space, a probe; numbers with errors, a figure.",
        " out/model.npz",
        " out/model.npz --data my_images/ --n-samples 50000 --points 200",
        " out/model.npz --annealed 1000",
        arguments=" MODEL",
    )
    one.add_argument("model", type=path, metavar="MODEL", help=SAVED)
    add_data(one)
    one.set_defaults(data=None)
    one.epilog += "\n\nWithout --data: what it was trained on, as the train.json beside it says, else digits."
    one.add_argument(
        "--n-samples",
        type=count(2, MANY),
        default=5000,
        metavar="S",
        help="importance samples of each data point for log p(x), a decoder pass each",
    )
    one.add_argument(
        "--points", type=count(10, MANY), default=500, metavar="N", help="held-out rows for log p(x) and the rates"
    )
    one.add_argument(
        "--annealed",
        type=count(0, MANY),
        default=0,
        metavar="T",
        help="temperatures of annealed importance sampling, for 20 of the points and 20 that the model draws: slow, "
        "and right where importance samples are worthless; 0 for none",
    )
    one.add_argument(
        "--per-class", type=count(1, MANY), default=10, metavar="N", help="labels of each class that the probe is told"
    )


def _add_shape(one):
    one.add_argument(
        "--image-shape",
        type=count(1, MANY),
        nargs=2,
        metavar=("ROWS", "COLUMNS"),
        help="pixels; if not given those of the training data, or the most square one that fits",
    )
