"""Write the derivative of the density as a difference of two densities, and sample both."""

import numpy as np

from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["MeasureValued"]


@estimator(objective="average", q=("mu", "std", "join"), draws=True)
class MeasureValued:
    """The measure-valued (weak) derivative, a coordinate at a time, the other coordinates left at z.

        d/dmu_k     E_q[f] = 1/(std_k sqrt(2 pi)) E[ f(z_k = mu_k + std_k W) - f(z_k = mu_k - std_k W') ]
        d/dlogvar_k E_q[f] = 1/2 E[ f(z_k = mu_k + std_k M) - f(z_k = mu_k + std_k N) ]

    W and W' are Rayleigh(1), M is a double-sided Maxwell, N a standard normal variable. Wins: f is a black box, and
    even against the pathwise estimator on bounded f. Loses: in high dimension, for its cost. Costs 4 K + 1 evaluations
    of f a sample, K being the latents, and no df/dz.

    It makes a callable (q, target, eps, objective, rng) -> Draws. It needs `rng`, for W, M and U; eps places the other
    coordinates.

    Parameters
    ----------
    coupled : bool, optional
        True takes W' = W and N = M U with U uniform: the differences are then small where f is smooth, but coupling can
        lose (a quadratic far from its minimum). False draws all four apart.

    Attributes
    ----------
    coupled : bool
        As given.

    Raises
    ------
    TypeError
        If coupled is no bool. At a call: without rng, if `objective` is no objective, or if eps is not of q's dtype.
    ValueError
        At a call: under ImportanceWeighted; if q lacks `mu`, `std` or `join`, a shape does not fit, or eps or f is not
        finite.

    Notes
    -----
    Source: Pflug 1996; Mohamed et al. 2020, section 6.
    """

    def __init__(self, coupled=True):
        if not isinstance(coupled, bool):
            raise TypeError(f"coupled must be True or False, got {coupled!r}")
        self.coupled = coupled

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, K), objective None or an ELBO, rng a Generator -> Draws: f (S, B), nats, dparams (S, B, 2K)."""
        loss = Integrand(q, target, objective)
        z = q.sample(eps)  # S, B, K
        f = loss(z)  # S, B
        up, down, maxwell, normal = (q.mu + q.std * offset for offset in self._offsets(rng, z))  # S, B, K each
        dmu, dlogvar = np.empty_like(z), np.empty_like(z)  # S, B, K
        for k in range(z.shape[2]):
            moved = np.concatenate([z, z, z, z])  # 4S, B, K
            moved[..., k] = np.concatenate([end[..., k] for end in (up, down, maxwell, normal)])
            f_up, f_down, f_maxwell, f_normal = np.split(loss(moved), 4)  # S, B each
            dmu[..., k] = (f_up - f_down) / (q.std[:, k] * np.sqrt(2 * np.pi).astype(z.dtype))
            dlogvar[..., k] = (f_maxwell - f_normal) / 2
        return Draws(f, q.join(dmu, dlogvar))  # S, B; S, B, 2K

    def __repr__(self):
        return f"MeasureValued(coupled={self.coupled})"

    def _offsets(self, rng, z):
        """(W, -W', M, N), (S, B, K) each."""
        draws = rng.standard_normal((6, *z.shape), dtype=z.dtype)
        sign = np.where(rng.random(z.shape) < 0.5, -1, 1).astype(z.dtype)
        rayleigh = np.hypot(draws[0], draws[1])
        maxwell = sign * np.sqrt((draws[2:5] ** 2).sum(axis=0))
        if self.coupled:
            return rayleigh, -rayleigh, maxwell, maxwell * rng.random(z.shape, dtype=z.dtype)
        return rayleigh, -np.hypot(*rng.standard_normal((2, *z.shape), dtype=z.dtype)), maxwell, draws[5]
