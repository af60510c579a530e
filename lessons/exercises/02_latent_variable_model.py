"""Exercises of lesson 02, a latent variable model and the price of p(x).

Write your answers here, or in a copy, and check them with `tinyvae exercise 02 --check FILE`.
"""


def log10_prior_draws(x, gain, s):
    """What one effective draw costs, where the pixels differ.

    z ~ N(0, I), and x_k = gain_k z_k + noise of standard deviation s_k: every pixel has a latent of its own. One draw
    from the prior has the weight w = p(x | z). An effective draw costs E[w^2] / E[w]^2 draws from the prior.

    Arguments: x, gain, s: arrays (K,); s is above 0, gain is not 0.
    Returns: log10 of E[w^2] / E[w]^2, a number.
    Hint: the square of a Gaussian density is a Gaussian density of another width, times a constant.
    """
    raise NotImplementedError


def bound_and_gap(x, gain, s, mu, var):
    """The two parts of log p(x) for any q, on paper, without a draw or a node.

    z ~ N(0, 1), x | z ~ N(gain z, s^2), and q = N(mu, var), one for each of B observations.

    Arguments: x, mu, var: arrays (B,); gain, s: numbers, s above 0.
    Returns: two arrays (B,): the ELBO, and KL(q || posterior), nats.
    Hint: add the two up: what must not depend on mu and var?
    """
    raise NotImplementedError


def turned_for_a_diagonal(W):
    """Another W that says the same of x, and whose posterior has a diagonal covariance.

    z ~ N(0, I), x | z ~ N(W z, s^2 I). Turn W so that p(x) stays exactly what it is and the latents are independent
    given x, whatever s is.

    Arguments: W: array (D, K), D at least K.
    Returns: an array (D, K). Of the many that will do, any one.
    Hint: which symmetric matrix of K rows has to become diagonal?
    """
    raise NotImplementedError
