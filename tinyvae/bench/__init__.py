"""What a training step costs on this machine.

Against its bare matrix products, against the NumPy twins, and loop by loop.

Everything here needs tinyvae alone. `tests/bench/` puts the same step beside PyTorch and JAX.
"""

from tinyvae.bench.hardware import bandwidth, machine, peak
from tinyvae.bench.profile import profile, replaced
from tinyvae.bench.report import print_step, run, table
from tinyvae.bench.timing import (
    N_ROWS,
    ONES,
    alternate,
    bare_products,
    block,
    milliseconds,
    pixels,
    ratio,
    spread,
    training_step,
)  # fmt: skip

__all__ = [
    "run", "table", "profile", "replaced", "pixels", "training_step", "bare_products", "alternate", "block", "spread",
    "milliseconds", "ratio", "machine", "bandwidth", "peak", "print_step", "N_ROWS", "ONES",
]  # fmt: skip
