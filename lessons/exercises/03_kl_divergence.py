"""Exercises of lesson 03, what the KL divergence measures

Copy this file, fill in the functions, and check them, all or those that you have:

    tinyvae exercise 03 --check FILE
"""


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    """E[f(z)] for z ~ N(mu, sigma^2), by Gauss-Hermite quadrature.

    With n_nodes nodes the result is exact for polynomials of degree up to 2 n_nodes - 1, for every mu and sigma.

    Parameters
    ----------
    f : callable
        z, an array (N,) -> values (N,).
    mu, sigma : float
        The mean and the standard deviation.
    n_nodes : int
        How many nodes; f is asked at these and nowhere else.

    Returns
    -------
    float

    Hint: the lesson's first cell of numbers has nodes and weights for ε ~ N(0, 1); where is z when ε is at a node?
    """
    raise NotImplementedError


def nats_given_away(W, s):
    """How many nats of the bound the best diagonal Gaussian q gives away: KL(q || posterior).

    The model is z ~ N(0, I), x ~ N(W z, s^2 I). The posterior's covariance does not depend on x; nor does the result.

    Parameters
    ----------
    W : array (D, K)
        Any D and K.
    s : float
        The standard deviation of the noise.

    Returns
    -------
    float

    Hint: the lesson does W = [[1, 1]], s = 1/2; what becomes of tr(P⁻¹ Σ) at the best q?
    """
    raise NotImplementedError


def mutual_information(mu, logvar):
    """I, in nats: what a code z tells about which of B images it came from.

    Each of B images, all equally likely, has the code q(z|x) = N(mu, exp(logvar)), K = 1. Means lie between -4 and 4,
    standard deviations between .1 and 2, side by side. An error of 1e-3 nats is allowed.

    Parameters
    ----------
    mu, logvar : array (B,)
        One number of each for each image.

    Returns
    -------
    float

    Hint: one image has I = 0, two whose codes never overlap have log 2; a narrow code beside a wide one is a spike.
    """
    raise NotImplementedError
