"""What the commands share: words into values, and values into words."""

import contextlib
import math
import sys
import textwrap

from tinyvae import compare as comparison
from tinyvae import datasets, estimators, likelihoods
from tinyvae.cli import reader

__all__ = [
    "estimator", "is_file", "built_in", "dataset", "objective", "Progress",
    "settings", "remark", "number", "percent", "counted", "say", "interval", "print_table", "fail",
]  # fmt: skip

WIDTH = 118  # of a paragraph

# --- words into values ------------------------------------------------------------------------------------


def estimator(word):
    """The built-in estimator's name, or the function `name` of `file.py:name`.

    Parameters
    ----------
    word : str
        A name, or file.py:name. The file is run; a class in it is made afresh, without arguments.

    Returns
    -------
    str or callable
        What `tinyvae.estimators` takes.

    Raises
    ------
    ValueError
        For an unknown name, or for a file without a name, that cannot be run, or that holds no such function.
    FileNotFoundError
        If there is no such file.
    """
    path, colon, name = word.rpartition(":")
    if colon and not (path and name):
        raise ValueError(f"expected an estimator's name or file.py:name, got {word!r}")
    if colon:
        return reader.load(path, name)
    if is_file(word):
        raise ValueError(
            f"expected the name of an estimator, got the file {word}; "
            f"to take a function from it write file.py:name, for example {word}:my_function"
        )
    estimators.resolve(word)
    return word


def is_file(word):
    """Whether an estimator's word speaks of a file.

    Parameters
    ----------
    word : str
        As it was given.

    Returns
    -------
    bool
        True for file.py and file.py:name.
    """
    return ":" in word or word.endswith(".py")


def built_in(word):
    """The word, unless it speaks of a file.

    Parameters
    ----------
    word : str
        As it was given.

    Returns
    -------
    str
        The same; whether an estimator has this name is not looked at.

    Raises
    ------
    ValueError
        If it speaks of a file.
    """
    if is_file(word):
        raise ValueError(
            f"expected a built-in estimator's name, got {word}; "
            "the form file.py:name is for tinyvae train, tinyvae variance and tinyvae check"
        )
    return word


def dataset(args):
    """The Dataset of --data, its pixels drawn once as black or white, by the seed, with --binarize.

    What was found in a file is printed. Raises ValueError or OSError for what cannot be read or split.
    """
    data = datasets.find(args.data)
    if data.found:
        say(data.found)
    if not len(data.test):
        raise ValueError(f"{args.data}: holds a single row, and one is held out for the test; give at least two")
    return comparison.binarized(data, args.seed) if args.binarize else data


def objective(args):
    """The objective that --objective, --beta and --kl name."""
    return comparison.objective_of(args.objective, args.beta, args.kl)


# --- values into words ------------------------------------------------------------------------------------


class Progress:
    """A progress bar where the standard error is a terminal, else a plain line now and then.

    A context, and called as `progress(epoch, line)` at the start (epoch 0) and after each epoch.

    Parameters
    ----------
    total : int
        How often it is called: the number of epochs and one.

    Attributes
    ----------
    total : int
        The same.
    bar : tqdm.tqdm or None
        The bar, where there is one.
    """

    def __init__(self, total):
        self.total, self.bar = total, None

    def __enter__(self):
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit="epoch")
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.close()

    def __call__(self, epoch, line):
        if self.bar:
            self.bar.update()
            self.bar.set_postfix_str(line or self.bar.postfix or "")
        elif line:
            print(f"epoch {epoch}/{self.total - 1}: variance {line}", file=sys.stderr)


def settings(args):
    """The settings that applied, for the record: {name: value}, without the options that had no use."""
    return {
        name: value
        for name, value in vars(args).items()
        if name not in ("command", "out", "idle", "written", "kept", *args.idle)
    }


def remark(args, x, likelihood):
    """What there is to say of a reconstruction term that is no -log p.

    Parameters
    ----------
    args : argparse.Namespace
        The command's.
    x, likelihood : array (n, D), Bernoulli or another likelihood
        As for `likelihoods.term`.

    Returns
    -------
    str
        A sentence or two; empty if it is one.
    """
    return {
        "cross-entropy": f"The pixels of {args.data} are grey: their reconstruction term is a cross-entropy, no "
        "density. For bits give --binarize; a density of grey pixels is --likelihood continuous_bernoulli or gaussian, "
        "a probability of grey levels --likelihood categorical.",
        "squared error": "The reconstruction term is a squared error, no density: to be -log p of a Gaussian of "
        f"variance 1/2, it lacks D/2 log(pi), {x.shape[1] / 2 * math.log(math.pi):.2f} nats.",
    }.get(likelihoods.term(x, likelihood), "")


def number(value):
    """A number in three digits, without an exponent where none is needed.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        Its words.
    """
    return "-" + comparison.brief(-value) if value < 0 else comparison.brief(value)


def percent(fraction):
    """A fraction as a percentage in two digits, without the sign %: 110 for 1.1.

    Parameters
    ----------
    fraction : float
        1 for 100%.

    Returns
    -------
    str
        The percentage.
    """
    return f"{float(f'{100 * fraction:.2g}'):g}"


def counted(n, noun):
    """A number of things: "1 sample", "2 samples".

    Parameters
    ----------
    n : int
        How many.
    noun : str
        In the singular; an s is added.

    Returns
    -------
    str
        The number and the noun.
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def say(text):
    """Print a paragraph, broken at spaces.

    Parameters
    ----------
    text : str
        The paragraph.
    """
    print(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def interval(values):
    """An interval in words.

    Parameters
    ----------
    values : sequence of float
        The value and its limits, low and high.

    Returns
    -------
    str
        The value, and its limits in brackets where they differ from it.
    """
    value, low, high = map(number, values)
    return value if value == low == high else f"{value} ({low} to {high})"


def print_table(*rows, indent=0):
    """Print rows of words, the names' columns flush left, the numbers' flush right.

    Parameters
    ----------
    *rows : sequence of str
        The header first, all of the same length.
    indent : int
        Spaces before each row.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    left = {
        i
        for i, column in enumerate(zip(*rows))
        if column[0] in ("estimator", "model", "problem", "block", "rank", "quantity") and i < len(widths) - 1
    }
    for row in rows:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))
        )
        print(" " * indent + "  ".join(cells).rstrip())


def fail(status, message):
    """One line on the standard error.

    Parameters
    ----------
    status : int
        The exit status.
    message : str
        What went wrong; what is broken into lines is joined.

    Returns
    -------
    int
        The exit status.
    """
    with contextlib.suppress(OSError):  # nobody reads it: the status says it
        print("tinyvae " + " ".join(message.split()), file=sys.stderr)
    return status
