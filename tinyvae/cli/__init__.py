"""The command line: `tinyvae compare`, and the single jobs train, sample, variance, check and bench.

Results go to the standard output and into files under --out; progress and errors go to the standard
error. Exit status: 0, or 1 where a run diverged or a check failed, 2 for a wrong value, 130 for Ctrl-C.
"""

import traceback
from pathlib import Path

import numpy as np

import tinyvae as tv
from tinyvae.cli import certify, jobs, laboratory, options
from tinyvae.cli.words import fail

__all__ = ["main", "COMMANDS"]

COMMANDS = {
    function.__name__: function
    for function in (jobs.compare, jobs.train, jobs.sample, laboratory.variance, certify.check, jobs.bench)
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
    args = options.parse(argv)
    try:
        if "out" in args:
            Path(args.out).mkdir(parents=True, exist_ok=True)
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges has a line of its own
            return COMMANDS[args.command](args) or 0
    except KeyboardInterrupt:
        return fail(130, f"{args.command}: interrupted, nothing was written")
    except tv.NonFiniteLoss as error:
        return fail(1, f"{args.command}: {error}")
    except (ValueError, TypeError, OSError) as error:
        return fail(2, f"{args.command}: {error}")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        words = [*(getattr(args, "estimators", None) or []), getattr(args, "estimator", "")]
        if not any(word.rpartition(":")[0] == where.filename for word in words):
            raise  # not the reader's file: ours to mend, with its traceback
        return fail(2, f"{args.command}: {where.filename}, line {where.lineno}: {type(error).__name__}: {error}")
