"""The main job: train one VAE with each estimator, side by side, and measure their gradients along the way.

Everything but the estimator is shared: the data, the initialisation, the minibatches, the noise. All
estimators take a step in turn, so that a busy machine slows them alike.

Beside it a family of VAEs over beta, on the plane of rate and distortion.
"""

from tinyvae.compare.family import BETAS, Chord, Member, chords, entropy_limits, family, without_code
from tinyvae.compare.run import Comparison, binarized, objective_of, run, without_decoder
from tinyvae.compare.settings import OBJECTIVES, Settings, default_estimators
from tinyvae.compare.words import brief, verdict

__all__ = [
    "run", "Settings", "Comparison", "OBJECTIVES", "objective_of", "binarized", "without_decoder", "brief", "verdict",
    "default_estimators", "family", "Member", "BETAS", "chords", "Chord", "entropy_limits", "without_code",
]  # fmt: skip
