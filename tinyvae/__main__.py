"""`python -m tinyvae` is the command `tinyvae`."""

from tinyvae.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
