"""Exercises of lesson 05, one expectation, two gradients. Check yours: `tinyvae exercise 05 --check FILE`

Two variances for pencil and paper (the moments of a standard normal: E[ε²] = 1, E[ε⁴] = 3, E[ε⁶] = 15, E[ε⁸] = 105,
E[ε¹⁰] = 945), and an estimator. `tinyvae.check.exact_mean` tells the two variances for numbers of your choice.

Shapes: S samples, B distributions side by side, K = 1 dimension of z.
"""


def variance_of_a_quartic(mu, sigma):
    """The variance of one sample's d/dμ for f(z) = z⁴, z ~ N(μ, σ²), of both estimators, exactly.

    mu, sigma : floats.
    Returns two floats: the score function's variance, then the reparameterization's.

    Hint: write each sample's gradient as a polynomial in ε, square it, and take the moments; or let quadrature do that.
    """
    raise NotImplementedError


def variance_of_leave_one_out(a, sigma, n_samples):
    """S times the variance of leave-one-out's d/dμ for the lesson's f(z) = (z - k)², exactly; a = μ - k.

    a, sigma : floats.
    n_samples : int, S, at least 2. The variance meant is that of the estimate, the mean over the S samples.
    Returns a float: 138 + 130 / (S - 1) at a = 4, σ = 1; you should find 10 + 2 / (S - 1) at a = 0, σ = 1.

    Hint: the lesson has the variance of a sample covariance, for any two random numbers.
    """
    raise NotImplementedError


def quieter_step(q, target, eps, objective=None, rng=None):
    """An estimator for steps, f(z) = 1 if z > c, else 0, without bias and quieter than the score function.

    The judge does not tell c, and the slope of f is 0. At μ = σ = 1 and c = 0, for S = 2 and for S = 4, the variance of
    your d/dμ (of the mean over the S samples), times the number of evaluations of f, must be below that of the score
    function.

    q : tinyvae.DiagonalGaussian, one for each of B, with `q.sample(eps)` (S, B, K) and `q.score(z)` (S, B, 2K).
    target : tinyvae.Target; `target(z)` is f, an array (S, B). Each call counts.
    eps : array (S, B, K), standard normal noise.
    objective : None; leave it alone.
    rng : a NumPy Generator, if you need more random numbers.
    Returns `tinyvae.Draws(f, dparams)`: f (S, B), the values of f at q.sample(eps), and dparams (S, B, 2K), what each
    sample says of d/dμ and d/dlogvar: their mean over S is the estimate. Both must be right on average.

    Hint: f is a number between 0 and 1. What does it have in common everywhere?
    """
    raise NotImplementedError
