"""Pictures: each function takes plain data and returns a matplotlib Figure, which `save` writes.

With `axes`, a function draws into those axes instead of a figure of its own. An estimator has the
same colour in every picture. The only folder that imports matplotlib; it opens no window.
"""

from tinyvae.plots.canvas import save
from tinyvae.plots.comparison import compare
from tinyvae.plots.curves import along, bounds, decomposition, training, variance_along_training, variances
from tinyvae.plots.densities import densities_and_images
from tinyvae.plots.evaluation import codes, evaluation
from tinyvae.plots.filled import fillings, neighbours
from tinyvae.plots.images import latents, reconstructions, samples, tile
from tinyvae.plots.looks import COLORS, MARKERS, OWN, PALETTE, marker, markers, style, styles
from tinyvae.plots.plane import plane, planes, rates
from tinyvae.plots.reproduced import estimators_along, likelihoods, ratios, variance_panels
from tinyvae.plots.seen import samples_seen
from tinyvae.plots.temperature import along_temperature

__all__ = [
    "save", "compare", "variance_along_training", "bounds", "training", "variances", "along", "along_temperature",
    "decomposition", "ratios", "likelihoods", "variance_panels", "estimators_along", "densities_and_images",
    "samples_seen", "samples", "reconstructions", "fillings", "neighbours", "latents", "tile", "style", "styles",
    "marker", "markers", "COLORS", "PALETTE", "OWN", "MARKERS", "plane", "planes", "rates", "evaluation",
    "codes",
]  # fmt: skip
