"""Exercises of lesson 16: bits. Check yours: `tinyvae exercise 16 --check FILE`

A variance for pencil and paper, and two conditional means: what is left of an estimate, or of a path, once a bit is
known. `tinyvae.check.exact_mean` with a `tinyvae.Binary` tells what a variance should be.

Shapes: S samples, B distributions side by side, K bits. A bit's logit is λ, and p = 1 / (1 + exp(-λ)).
"""


def variance_of_many_samples(f0, f1, p, n_samples):
    """The variance of leave-one-out's d/dλ for one bit, with any number of samples, exactly.

    f0, f1 : floats, f(0) and f(1).
    p : float, the probability of a 1.
    n_samples : int, S, at least 2. The variance meant is that of the estimate, the mean over the S samples.
    Returns a float: 0.058594 for f0 = 20, f1 = 21, p = 3/4, S = 2, and 0.017578125 for S = 4, where it meets DisARM's.

    Hint: leave-one-out is the sample covariance of f and z. What is the covariance of f and z for a bit, and which
    textbook variance is that?
    """
    raise NotImplementedError


def average_out_the_noise(f, f2, z, z2, logits):
    """From ARM to DisARM: the mean of ARM's estimate, given both samples.

    ARM is 1/2 (f(z) - f(z2)) (2 ε_k - 1) for bit k, where z_k = 1 if ε_k > 1 - p_k, and z2 is made of 1 - ε in the same
    way. Given z and z2 the noise ε_k is still random: return what remains when it is averaged out.

    f, f2 : arrays (S, B), f at z and at z2.
    z, z2 : arrays (S, B, K), zeros and ones.
    logits : array (B, K), λ.
    Returns an array (S, B, K).

    Hint: draw the interval (0, 1) and the two places where z_k and z2_k flip. In which piece is ε_k, and where is the
    middle of that piece?
    """
    raise NotImplementedError


def conditional_path(slope, logit, temperature, eps):
    """REBAR's conditional term for one bit: df(y)/dλ with z held.

    y = sigmoid(a / T) is the relaxed bit, a = λ + log(ε / (1 - ε)) its odds, and z = 1 where a > 0. Held, z = 1 makes ε
    uniform above 1 - p, ε = 1 - p + v p, and z = 0 uniform below, ε = v (1 - p). v is what stays when λ moves, so ε
    moves with λ, and a moves twice.

    slope : function, f' of an array (S,).
    logit : float, λ.
    temperature : float, T.
    eps : array (S,), in (0, 1).
    Returns an array (S,): for each ε, the derivative in λ of f(y), z and v being held.

    Hint: dp/dλ = p (1 - p). Write dε/dλ for both cases with v, then put ε back in its place.
    """
    raise NotImplementedError
