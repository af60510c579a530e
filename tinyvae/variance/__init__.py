"""Measure gradient estimators side by side: bias, variance, signal-to-noise ratio and cost, with confidence intervals.

A replicate is one whole estimate: the mean over its S samples, which may depend on each other. All that is
measured here is how independent replicates differ. They lie side by side on the batch axis, and all
estimators see the same noise. Memory does not grow with the number of replicates, except by two numbers
a replicate and block.
"""

from tinyvae.variance.decomposition import Decomposition, decompose
from tinyvae.variance.measurement import block_names, measure, measure_target
from tinyvae.variance.plan import Plan
from tinyvae.variance.ranking import Bias, Rank, Summary, bias, plain, ranking, ratio, summary
from tinyvae.variance.replicates import folded
from tinyvae.variance.report import Interval, Report, Total

__all__ = [
    "measure", "measure_target", "decompose", "Plan", "block_names", "Report", "Interval", "Total", "Decomposition",
    "Rank", "Bias", "Summary", "ratio", "ranking", "bias", "summary", "plain", "folded",
]  # fmt: skip
