"""Exercises of lesson 08: what may be subtracted, and what must be given back.

Write the three functions, then ask: tinyvae exercise 08 --check FILE
"""


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    """The delta method for one variable: samples of d/dmu E_q[f(z)] with f's Taylor parabola at mu as control variate.

    q = N(mu, sigma^2), z = mu + sigma eps. The samples' mean must be the gradient, and what is left of their noise that
    of f minus its parabola. For f = z^3 and mu = sigma = 1 the mean is 6.

    Parameters
    ----------
    f, slope, bend : function
        Of an array or a number: f, its first and its second derivative.
    mu, sigma : float
        The mean and the standard deviation of q.
    eps : array (S,)
        Standard normal noise.

    Returns
    -------
    array (S,)
        One number for each sample.

    Notes
    -----
    Hint: equation (3) of the lesson; which function of m is E of a fixed parabola under N(m, sigma^2)?
    """
    raise NotImplementedError


def leave_one_out_in_pairs(f, score):
    """Leave-one-out for antithetic noise: unbiased for mu and for logvar, and for logvar quieter than plain.

    The second half of the samples is the first half's mirror image: sample s was drawn with eps, sample s + S/2 with
    -eps. S is even and at least 4.

    Parameters
    ----------
    f : array (S, B)
        The losses.
    score : array (S, B, P)
        The scores d log q / d lambda of the same samples.

    Returns
    -------
    array (S, B, P)
        Each sample's contribution; their mean over S is the estimate.

    Notes
    -----
    Hint: which samples is sample s independent of?
    """
    raise NotImplementedError


def slope_from_the_others(f, eps, sigma):
    """Samples of d/dmu with b + beta (z - mu) as control variate, b and beta learnt from the other samples.

    One latent: z = mu + sigma eps. Both b and beta are a sample's own, and do not know its f. f's derivative is not at
    hand: beta is what the other samples say of it. On a bowl this must be quieter than leave-one-out.

    Parameters
    ----------
    f : array (S, B)
        The losses, S of at least 5.
    eps : array (S, B)
        The noise that they were drawn with.
    sigma : array (B,)
        The standard deviations.

    Returns
    -------
    array (S, B)
        Each sample's contribution; their mean over S is the estimate of d/dmu, (B,).

    Notes
    -----
    Hint: in equation (3), what is d/dmu E_q[b + beta (z - mu)] if b, beta and the mu in c are held?
    """
    raise NotImplementedError
