"""Exercises of lesson 14, fill in what is missing. Check yours: `tinyvae exercise 14 --check FILE`

As in the lesson, an x with holes is an array in which NaN marks what is missing.
"""


def conditional_gaussian(mean, cov, x):
    """What a Gaussian x ~ N(mean, cov) says of its missing coordinates, given the others.

    mean : array (D,). cov : array (D, D), a covariance.
    x : array (D,), NaN where it is missing: somewhere, and not everywhere.
    Returns two arrays: the mean (H,) and the covariance (H, H) of the H missing coordinates, in x's order.

    Hint: four blocks of cov; `np.ix_` takes a block by its rows and columns.
    """
    raise NotImplementedError


def log_acceptance(x, z, z_new, mu, logvar, W, m, s):
    """log of w(z_new) / w(z), which decides on a move from z to z_new, for B chains of any linear-Gaussian model.

    The model: z ~ N(0, I), x | z ~ N(W z + m, s² I). The encoder: q(z | x) = N(mu, exp(logvar)).
    x : array (B, D), filled in as it is now.
    z, z_new, mu, logvar : arrays (B, K).
    W : array (D, K). m : array (D,). s : a number.
    Returns an array (B,): the logarithm of the ratio itself, above 0 where a move is sure.

    Hint: a difference of two log w, each of three terms; what does not depend on z drops out.
    """
    raise NotImplementedError


def error_of_endless_draws(draws, truth):
    """The squared error that the mean of endlessly many draws would have, estimated from S of them, without bias.

    draws : array (S, B, H), S at least 2: independent draws of H missing pixels for each of B data points.
    truth : array (B, H), what was there.
    Returns an array (B,): an estimate of Σ_d (E[x_d | x_o] - truth_d)², right on average for any S.

    Hint: how much of the squared error of the mean of S draws is noise of that mean?
    """
    raise NotImplementedError
