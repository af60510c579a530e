"""`python -m tinyvae` is the command `tinyvae`."""

import sys


def main():
    """Run the command line of this process.

    Returns
    -------
    int
        The exit status, 130 too for a Ctrl-C while the modules are still being loaded.
    """
    try:
        from tinyvae.cli import main
    except KeyboardInterrupt:
        print("tinyvae interrupted, nothing was written", file=sys.stderr)
        return 130
    return main()


if __name__ == "__main__":
    raise SystemExit(main())
