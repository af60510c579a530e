"""Exercises of lesson 13, rate and distortion. Check yours: `tinyvae exercise 13 --check FILE`"""


def rate_distortion_information(v, a, s, w, t):
    """Rate, distortion and mutual information of a Gaussian code of one pixel, nats, by formula.

    Data x ~ N(0, v), encoder q(z | x) = N(a x, s²), prior N(0, 1), decoder p(x | z) = N(w z, t²).

    v : number above 0, the variance of the data.
    a, s : numbers, s above 0.
    w, t : numbers, t above 0. The decoder need not be the best one.
    Returns R, D, I: three numbers, means over the data.

    Hint: what distribution has z = a x + s ε over all images? And what is the mean of (x - w z)²?
    """
    raise NotImplementedError


def best_code(x, beta, w, t):
    """The q that makes E_q[log p(x | z)] - beta KL(q || p) largest for one image, and how large that is, nats.

    Prior p = N(0, 1), decoder p(x | z) = N(w z, t²), one pixel, q = N(mu, sigma²).

    x : number.
    beta : number above 0.
    w, t : numbers, t above 0.
    Returns mu, sigma and the objective: three numbers.

    Hint: multiply the prior by which power of the likelihood? Then put mu and sigma into both terms.
    """
    raise NotImplementedError


def least_distortion(x, p, q):
    """The least distortion that any factorised decoder of bits reaches with a given code, nats an image.

    Factorised: the pixels are independent given z, each with a probability of its own for each z.

    x : array (N, n) of 0 and 1, all the images there are, each once.
    p : array (N,), how probable each image is; adds up to 1.
    q : array (N, M), q(z | x) for M possible codes z; each row adds up to 1. A code may never be used.
    Returns a number.

    Hint: of all images with the code z, how often is pixel d white? No code at all is M = 1.
    """
    raise NotImplementedError
