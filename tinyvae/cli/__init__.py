"""The command line: `tinyvae compare`, and the single jobs train, sample, fill, variance, check and bench.

Results go to the standard output and into files under --out; progress and errors go to the standard
error. Exit status: 0, or 1 where a run diverged or a check failed, 2 for a wrong value, 128 + its number where a
signal ended the command (130 for Ctrl-C), 141 where the reader of the output went away (`| head -1`).
"""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

from tinyvae.cli import certify, endings, jobs, laboratory, options, signals, tasks

__all__ = ["main", "COMMANDS"]

JOBS = jobs.compare, jobs.train, tasks.sample, tasks.fill, laboratory.variance, certify.check, jobs.bench
COMMANDS = {function.__name__: function for function in JOBS}


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
    args = Namespace(command="", written=[], kept="")  # until the words are read
    with signals.as_interrupts():
        try:
            try:
                args = options.parse(argv)
                if "out" in args:
                    Path(args.out).mkdir(parents=True, exist_ok=True)
                with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges has a line of its own
                    return COMMANDS[args.command](args) or 0
            finally:
                sys.stdout.flush()  # here, where an error is still heard
        except BaseException as error:  # a reader's own function may raise anything
            if isinstance(error, SystemExit) and not args.command:
                raise
            return endings.status(error, args)
