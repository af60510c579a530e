"""How a command ends: one line on the standard error, and the exit status."""

import codecs
import contextlib
import os
import signal
import sys

import tinyvae as tv
from tinyvae.cli import reader, signals, words

__all__ = ["prepare_streams", "status"]

SIZES = (
    "hidden n_latents n_positions n_codes code_size n_features batch_size n_samples n_draws n_batches points n".split()
)
PLAIN = {"²": "^2"}  # for a terminal that knows ASCII only


def prepare_streams():
    """Let no character and no closed stream stop a command after its work.

    What a stream's encoding lacks is written in ASCII; a stream that was closed at the start swallows what it gets.
    """
    codecs.register_error("tinyvae", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="tinyvae")


def _plain(error):
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(PLAIN.get(c, ascii(c)[1:-1]) for c in error.object[error.start : error.end])
    return text, error.end


def status(error, args):
    """The exit status of a command that an error ended, said in one line.

    Parameters
    ----------
    error : BaseException
        What was raised.
    args : argparse.Namespace
        Of the command; `command`, `written` and `kept` are there in any case.

    Returns
    -------
    int
        1 where a run diverged, 128 + its number for a signal (130 for Ctrl-C), 141 (as the shell says it) where nobody
        reads the output any more, and then there is no line; else 2.

    Raises
    ------
    BaseException
        The error itself, where it is neither the reader's nor the machine's: ours to mend, with its traceback.
    """
    command = f"{args.command}: ".removeprefix(": ")
    gone = isinstance(error, OSError) and _leave_stdout()
    own = [*(getattr(args, "estimators", None) or []), getattr(args, "estimator", "")]
    line = reader.line_of(error, [word.rpartition(":")[0] for word in own if words.is_file(word)])
    if isinstance(error, BrokenPipeError) and (gone or not line):
        return 141
    if isinstance(error, KeyboardInterrupt):
        written = f"; written so far: {', '.join(map(str, args.written))}" if args.written else ", nothing was written"
        name = "" if signals.last() == signal.SIGINT else f" by {signals.last().name}"
        return words.fail(128 + signals.last(), f"{command}interrupted{name}{error}{args.kept or written}")
    if isinstance(error, tv.NonFiniteLoss):
        return words.fail(1, f"{command}{error}{args.kept}")
    if line:
        return words.fail(2, f"{command}{line}{args.kept}")
    if isinstance(error, MemoryError):
        sizes = [f"--{name.replace('_', '-')}" for name in SIZES if name in vars(args) and name not in args.idle]
        advice = f"not enough memory: {str(error) or 'it is full'}" + f"; give a smaller {_or(sizes)}" * bool(sizes)
        return words.fail(2, f"{command}{advice}{args.kept}")
    if isinstance(error, (ValueError, TypeError, OSError, ImportError)):  # the last: an extra is not installed
        return words.fail(2, f"{command}{error}{args.kept}")
    if args.kept:
        words.fail(2, f"{command}{type(error).__name__}{args.kept}")
    raise error


def _or(options):
    return " or ".join(filter(None, (", ".join(options[:-1]), *options[-1:])))


def _leave_stdout():
    """Where the standard output takes no more, lead it to nowhere, else Python tries again as it ends; whether so."""
    try:
        sys.stdout.flush()
        return False
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
