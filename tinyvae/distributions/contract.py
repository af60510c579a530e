"""What every q answers: a distribution over latents, one for each row of a batch, and how it meets its prior.

S samples, B rows, K latents, P parameters a row. `Distribution` supplies what follows from this list: noise, the
entropy, the KL and the log ratio to the prior, the gradient of a batch.

    name, blocks        how it is called; the names of the blocks of its parameters
    prior               the prior that a model takes unless told otherwise
    n_params(K)         how many numbers a data point's distribution takes
    code_size(K)        how many numbers z has, which the decoder takes: K unless a latent is more than a number
    noise_shape(B, K)   the shape of a sample's noise, without the samples' axis
    draw(rng, S, B, K, dtype, scheme)   noise (S, ...): a scheme of `tv.noise` gives standard normal numbers
                        (S, B, K), and q makes of them what its `sample` takes
    from_params(params, prior)      q of the encoder's output (B, P), unchecked
    params, mean        (B, P); E_q[z], (B, K)
    sample(eps)         z (S, B, K)
    log_prob(z), score(z)           log q(z), nats, (S, B), and its slope in params, (S, B, P)
    split(dparams)      {block: part} of what is laid out like params, (..., P)
    by_params(weights)  a weight for each latent's KL, a number or (B, K), as one for each parameter, (B, P) float64

Where there is such a thing, and an estimator asks for it (it says so, and refuses a q without):

    path(dz, eps)       a slope in z taken back to params through z = sample(eps): (S, B, K) -> (S, B, P)
    moved(dparams, eps) how z moves when params do: (S, B, P) -> (S, B, K)
    log_prob_grad(z)    the slope of log q in z, (S, B, K)
    join(...)           the inverse of split
    odds(eps), relaxed(odds, temperature)   the continuous numbers whose threshold z is, and z relaxed, (S, B, K)
    relaxed_path(dy, y, temperature)        a slope in a relaxed y as one in params, its noise held; at y = mean and
                        temperature 1 one in the mean: (S, B, K) -> (S, B, P)

For a normal prior that is learnt, or N(0, I) where latents depend on each other (`prior.Normal`):

    variance, entropy_by_latent()       of each latent; its share of the entropy, nats; (B, K)
    from_moments(dmean, dvariance, dentropy)    slopes in these, (B, K), taken back to params, (B, P)

For exact expectations, made apart from `score`, so that truth and estimator share no bug:

    nodes(n)            z (N, B, K) and weights (N, B): quadrature, or enumeration
    n_states(K)         of the class, where `nodes` is an enumeration: how many states there are
    exact_gradient(values, n, kl_weight)    d/dparams of E_q[f] + kl_weight KL, from f's values (N, B) at the nodes
    noise_nodes(n, S)   eps (S, N, ...) and weights (N,), over the noise of S samples
"""

import numpy as np

from tinyvae import validate
from tinyvae.distributions.prior import check_prior
from tinyvae.noise import independent

__all__ = ["Distribution", "require_fit"]

NEEDED = (
    "name", "blocks", "prior", "n_params", "noise_shape", "draw", "from_params", "sample", "log_prob", "score", "split",
    "by_params", "kl", "kl_grad", "log_ratio", "batch_gradient", "noise", "like",
)  # fmt: skip


class Distribution:
    """What follows from the rest: what a distribution of one's own may start from."""

    @staticmethod
    def code_size(n_latents):
        """How many numbers z has for n_latents = K latents: K, int."""
        return n_latents

    def like(self, params):
        """The same kind of distribution with other params (B, P), unchecked and not copied, and with the same prior."""
        return self.from_params(params, self.prior)

    @property
    def mode(self):
        """The most probable z, (B, K): the mean, unless a class says otherwise."""
        return self.mean

    @property
    def dtype(self):
        """The precision of params, and of all that is computed."""
        return self.params.dtype

    def noise(self, rng, n_samples=1, scheme=None):
        """eps, (S, B, ...), from a numpy Generator: independent, or by a noise scheme, see `tv.noise`."""
        validate.generator("rng", rng)
        n_samples = validate.integer("n_samples", n_samples, least=1)
        eps = self.draw(rng, n_samples, *self.mean.shape, self.dtype, scheme or independent)
        return validate.array("noise's eps", eps, (n_samples, *self.noise_shape(*self.mean.shape)), self.dtype)

    def checked(self, z, name="z"):
        """z (S, B, K), if it fits. Raises ValueError or TypeError, calling it `name`."""
        return validate.array(name, z, ("S", *self.mean.shape), self.dtype)

    def entropy(self):
        """-E_q[log q(z)], nats, (B,)."""
        return self.entropy_by_latent().sum(axis=1)

    # --- against the prior ------------------------------------------------------------------------

    def log_ratio(self, z, prior=None):
        """log q(z) - log p(z), nats, p being the prior. z (S, B, K) -> (S, B)."""
        return (prior or self.prior).log_ratio(self, self.checked(z))

    def log_ratio_grad(self, z, prior=None):
        """d/dz [log q(z) - log p(z)], parameters held. z (S, B, K) -> (S, B, K)."""
        return (prior or self.prior).log_ratio_grad(self, self.checked(z))

    def kl(self, prior=None):
        """KL(q || p), nats, (B,), p being the prior (for N(0, I): Kingma & Welling 2014, appendix B)."""
        return (prior or self.prior).kl(self)

    def kl_by_latent(self, prior=None):
        """Each latent's part of KL(q || p), nats, (B, K)."""
        return (prior or self.prior).kl_by_latent(self)

    def kl_grad(self, prior=None):
        """dKL(q || p) / dparams, (B, P)."""
        return (prior or self.prior).kl_grad(self)

    def batch_gradient(self, dparams, objective):
        """d/dparams of a batch's mean loss: (mean_s dparams + dKL/dparams, weighted by the objective) / B.

        dparams (S, B, P), an estimator's; objective, whose `kl_weights` are asked -> (B, P).
        """
        shares = self.by_params(objective.kl_weights(self)) / len(self.params)  # B, P
        return self.prior.batch_gradient(self, dparams, shares)


def require_fit(prior, family, n_latents):
    """`prior`, if it is one and fits a class of distributions: its KL has their shapes, and a draw that of z.

    Parameters
    ----------
    prior : Prior
    family : class
        What q is.
    n_latents : int
        K.

    Returns
    -------
    Prior
        `prior` itself.

    Raises
    ------
    TypeError
        If it is none, or does not fit.
    """
    check_prior(prior)
    there = prior.bound(**prior.parameters(n_latents)) if hasattr(prior, "parameters") else prior
    try:
        q = family.from_params(np.zeros((1, family.n_params(n_latents))), there)
        validate.check_shape("kl", np.asarray(q.kl()), (1,))
        validate.check_shape("kl_grad", np.asarray(q.kl_grad()), q.params.shape)
        draw = there.sample(np.random.default_rng(0), 1, n_latents, "float64")
        validate.check_shape("a draw", draw, (1, getattr(family, "code_size", int)(n_latents)))
    except Exception as error:  # whatever the one asks that the other does not have
        raise TypeError(
            f"the prior {prior!r} does not fit latents of {family.name!r}, whose own is {family.prior!r}: {error}"
        ) from error
    return prior
