"""The command line: `tinyvae compare`, single jobs (train, rates, sample, fill, evaluate, variance, check, bench),
published experiments, and the course.

Results go to the standard output and into files under --out; progress and errors go to the standard error. Exit
status: 0, or 1 where a run diverged, a check failed or an answer is not right, 2 for a wrong value, 128 + its number
where a signal ended the command (130 for Ctrl-C), 141 where the reader of the output went away (`| head -1`).
"""

import contextlib
import sys
import warnings
from argparse import Namespace

import numpy as np

from tinyvae.cli import (
    certify,
    course,
    endings,
    evaluation,
    family,
    jobs,
    laboratory,
    options,
    reproductions,
    results,
    signals,
    tasks,
)
from tinyvae.training.history import say

__all__ = ["main", "COMMANDS"]

COMMANDS = {
    function.__name__: function
    for function in (
        jobs.compare,
        jobs.train,
        family.rates,
        tasks.sample,
        tasks.fill,
        evaluation.evaluate,
        laboratory.variance,
        certify.check,
        jobs.bench,
        reproductions.reproduce,
        course.lessons,
        course.exercise,
    )
}


def main(argv=None):
    """Run one command.

    Parameters
    ----------
    argv : list of str, optional
        The words after `tinyvae`; those of this process if None.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    SystemExit
        With status 2 for a command line that does not fit, 0 for --help and --version.
    """
    endings.prepare_streams()
    args, made = Namespace(command="", written=[], kept=""), []  # until the words are read
    with signals.as_interrupts(), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: say(f"Warning: {message}")  # no line of code
        try:
            try:
                args = options.parse(argv)
                if "out" in args:
                    made = results.make_folder(args.out)
                with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges has a line of its own
                    return COMMANDS[args.command](args) or 0
            finally:
                sys.stdout.flush()  # here, where an error is still heard
        except BaseException as error:  # a reader's own function may raise anything
            if isinstance(error, SystemExit) and not args.command:
                raise
            for folder in made:
                with contextlib.suppress(OSError):  # what holds a result stays
                    folder.rmdir()
            return endings.status(error, args)
