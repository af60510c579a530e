"""Exercises for lesson 09, `lessons/09_who_wins_where.py`: four estimators, three kinds of noise, and the price.

Copy this file, fill in the functions, and check them with

    tinyvae exercise 09 --check FILE
"""


def measure_valued_dmu(f, mu, sigma, W, W2):
    """Draws of the measure-valued derivative d/dmu E[f(z)], z normal with mean mu and standard deviation sigma.

    Parameters
    ----------
    f : callable
        Values of f at an array of z.
    mu, sigma : float
        Of z; sigma > 0.
    W, W2 : array (n,)
        Draws of Rayleigh's distribution, density u exp(-u^2 / 2) for u > 0. W goes to the right of mu, W2 to the left.

    Returns
    -------
    array (n,)
        One estimate for each pair of draws.

    Hint: the factor in front is what makes the positive half of dq/dmu a density.
    """
    raise NotImplementedError


def gain_of_pairs(g):
    """How many times less variance an antithetic pair has than two independent draws.

    Parameters
    ----------
    g : callable
        One draw's gradient as a function of its noise: g(eps), for an array of eps, is an array of the same shape. It
        is smooth, and neither odd nor constant.

    Returns
    -------
    float
        Var[(g(e1) + g(e2)) / 2] / Var[(g(e) + g(-e)) / 2], with e, e1, e2 independent and standard normal, to 1e-4.

    Hint: an even grid of eps, weighed with the normal density, gives both variances without a random number.
    """
    raise NotImplementedError


def dimension_of_takeover(f, slope, mu, sigma, slope_price):
    """From how many dimensions on is the reparameterization no dearer than the coupled measure-valued derivative?

    The target is a sum of K equal terms f(z_i); all z_i are independent, normal with mean `mu` and standard deviation
    `sigma`. Compare variance x price of an estimate of all d/dmu_i. A value of the target costs 1, a slope (all K
    derivatives together) `slope_price`, everything that it needs included. Each coordinate's difference takes
    two values.

    Parameters
    ----------
    f, slope : callable
        Of an array of z_i: the values of one term, and of its derivative.
    mu, sigma : float
        Of each z_i.
    slope_price : float
        What a slope costs.

    Returns
    -------
    int
        The smallest K >= 1 at which the reparameterization's variance x price is no larger.

    Hint: neither variance of one coordinate depends on K; only one of the two prices does.
    """
    raise NotImplementedError
