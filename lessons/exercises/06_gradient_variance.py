"""Exercises for lesson 06, `lessons/06_gradient_variance.py`: shape, dimension, number of samples.

Copy this file, fill in the functions, and check them with

    tinyvae exercise 06 --check FILE
"""


def crossing_of_a_sine(mu):
    """From which k on is the reparameterization noisier than the score function on f(z) = sin(k z)?

    z is normal with mean `mu` and standard deviation 1. Compare the variances of one sample's d/dmu; the score function
    has no baseline. For small k the reparameterization is the quieter one, for any `mu`.

    Parameters
    ----------
    mu : float
        Between -2 and 2.

    Returns
    -------
    float
        The smallest k > 0 at which the two variances are equal, to 1e-3.

    Hint: an even grid of eps gives both variances; then bisect between a k that is too small and one that is too large.
    """
    raise NotImplementedError


def variance_in_many_dimensions(K, a):
    """The exact variance of one sample of the score function's d/dlogvar_1, without a baseline, in K dimensions.

    f(z) = sum_i (z_i - c)^2, all z_i are independent and normal with mean c + a and standard deviation 1, and logvar_1
    is the logarithm of the variance of z_1.

    Parameters
    ----------
    K : int
        The dimension of z, 1 to some hundred. A grid over all of z is out of reach.
    a : float
        Distance of the mean from the least point, the same in each coordinate.

    Returns
    -------
    float
        To 1e-6 of its size.

    Hint: split f into the first term and the rest, which is independent of z_1 and of known mean and variance.
    """
    raise NotImplementedError


def own_term_score(q, terms, eps):
    """A score function for f(z) = sum_i f_i(z_i): its variance in one coordinate does not grow with the others' number.

    Take no baseline: one sample's gradient depends on that sample alone.

    Parameters
    ----------
    q : tv.DiagonalGaussian
        B Gaussians over K latents: q.mu, q.logvar, q.std are (B, K); q.sample(eps) gives z.
    terms : callable
        z (S, B, K) -> the values f_i(z_i), (S, B, K), not yet summed.
    eps : array (S, B, K)
        Standard normal noise.

    Returns
    -------
    array (S, B, 2K)
        Each sample's gradient: first for mu, (S, B, K), then for logvar, (S, B, K), side by side.

    Hint: which terms of f does a step of mu_i change?
    """
    raise NotImplementedError
