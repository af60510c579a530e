"""Exercises of lesson 12, what the decoder says about a pixel. Check yours: `tinyvae exercise 12 --check FILE`"""


def beta_of_a_loss(squares, kl_weight, n_pixels, v):
    """The beta of the objective -log N(x; m, v I) + beta KL that has the same minimum as a loss of squares and KL.

    The loss is   squares of the squared errors of an image + kl_weight · KL.

    squares : "sum" or "mean", over the image's pixels.
    kl_weight : number, what the KL is multiplied by in the loss.
    n_pixels : int, D.
    v : number, the variance of the Gaussian.
    Returns a number, beta.

    Hint: multiply the whole loss by what turns its first term into the Gaussian's, up to a constant.
    """
    raise NotImplementedError


def continuous_bernoulli(logits, x):
    """The loss -log p(x) of grey pixels under the continuous Bernoulli, and its slope in the logits.

    logits, x : arrays (n, D); x in [0, 1]; a logit may be 0, or some hundreds, of either sign.
    Returns the loss of each row, nats, an array (n,), and its slope d loss / d logits, an array (n, D).

    Hint: p is e^(l x) over its integral. Near l = 0 take a series, for large |l| factor out the largest exponential.
    """
    raise NotImplementedError


def best_floored_variance(errors, floor):
    """For each pixel the best variance that is not below a floor, and minus the log-density of the errors under it.

    errors : array (n, D), x - m of n images.
    floor : number above 0, the least variance that is allowed; the best is looked for among all v >= floor.
    Returns an array (D,) of variances, and a number: the mean over images of -log N(errors; 0, v), summed over pixels.

    Hint: -log N of one pixel, averaged over images, falls and then rises in v. Where is its minimum?
    """
    raise NotImplementedError
