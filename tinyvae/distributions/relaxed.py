"""The continuous numbers behind a discrete sample: relaxed, and followed where they go when the parameters move.

Noise and parameters give odds (`q.odds(eps)`), and the odds a sample. With the noise held, odds move one for one with
the logits. With the *sample* held, noise is drawn given the sample, and moves with the logits itself (`q.noise_given`,
its uniform numbers held): that is less, by what the choice of a sample tells of the logits. Both have the same odds on
average, so that a difference between the two is a control variate of mean zero.
"""

import numpy as np
import scipy

from tinyvae.distributions.logistic import sigmoid
from tinyvae.kernels import binary as kernels

__all__ = ["RelaxedBits", "RelaxedGroups"]


class RelaxedBits:
    """What `Binary` answers of its odds, (S, B, K)."""

    def relaxed(self, odds, temperature):
        """sigmoid(odds / temperature), in (0, 1). odds (S, B, K) -> (S, B, K)."""
        return sigmoid(odds / self.dtype.type(temperature))

    def relaxed_path(self, dy, y, temperature):
        """A slope in the relaxed y as one in the odds: dy y (1 - y) / temperature. (S, B, K) -> (S, B, K)."""
        return dy * y * (1 - y) / self.dtype.type(temperature)

    def given_path(self, dodds, eps):
        """A slope in the odds as one in params, the sample of eps held. dodds, eps (S, B, K) -> (S, B, K).

        dodds/dlogits = 1 - (1 - p) / eps where the bit is 1, and 1 - p / (1 - eps) where it is 0.
        """
        dodds, path = np.ascontiguousarray(dodds), np.empty(eps.shape, self.dtype)
        kernels.binary_given_path(self.probs, self.probs_of_0, dodds, np.ascontiguousarray(eps), path)
        return path

    def given_moved(self, dparams, eps):
        """How the odds move when params do, the sample of eps held: dparams, eps (S, B, K) -> (S, B, K)."""
        return self.given_path(dparams, eps)


class RelaxedGroups:
    """What `Categorical` answers of its odds, (S, B, K W)."""

    def relaxed(self, odds, temperature):
        """softmax(odds / temperature) in each group. odds (S, B, K W) -> (S, B, K W)."""
        grouped = self.grouped(odds / self.dtype.type(temperature))
        return scipy.special.softmax(grouped, axis=3).astype(self.dtype, copy=False).reshape(odds.shape)

    def relaxed_path(self, dy, y, temperature):
        """A slope in the relaxed y as one in the odds: y (dy - sum_w y_w dy_w) / temperature. Both (S, B, K W)."""
        grouped, slope = self.grouped(y), self.grouped(dy)
        mean = (grouped * slope).sum(axis=3, keepdims=True)
        return (grouped * (slope - mean) / self.dtype.type(temperature)).reshape(y.shape)

    def given_path(self, dodds, eps):
        """A slope in the odds as one in params, the sample of eps held. dodds, eps (S, B, K W) -> (S, B, K W).

        dodds_w/dlogits_j = r_w p_j + (1 - r_w) [w = j], r_w = exp(odds_w - the largest odds)
        """
        slope, share = self.grouped(dodds), self._share(eps)
        through = (share * slope).sum(axis=3, keepdims=True)
        return (through * self.grouped_probs + (1 - share) * slope).reshape(dodds.shape)

    def given_moved(self, dparams, eps):
        """How the odds move when params do, the sample of eps held: dparams, eps (S, B, K W) -> (S, B, K W)."""
        moved, share = self.grouped(dparams), self._share(eps)
        through = (self.grouped_probs * moved).sum(axis=3, keepdims=True)
        return (share * through + (1 - share) * moved).reshape(dparams.shape)

    def _share(self, eps):
        odds = self.grouped(self.odds(eps))
        return np.exp(odds - odds.max(axis=3, keepdims=True))  # S, B, K, W: 1 at the way taken
