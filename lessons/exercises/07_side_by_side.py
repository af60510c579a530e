"""Exercises of lesson 07: a rate for a noisy gradient, and two ratios of variances.

Write the three functions, then ask: tinyvae exercise 07 --check FILE
"""


def optimizer_for_a_noisy_gradient():
    """An optimizer with which the score function beats the model without a code, with each of five seeds.

    The judge trains five models as in the lesson (K = 10, 50 hidden units, S = 2, batches of 200, 60 epochs: 480 steps)
    with seeds of its own, and asks for an optimizer before each.

    Returns
    -------
    object
        A new optimizer: `tv.Adam(...)`, `tv.SGD(...)`, or your own with a method `step(theta, gradient)` that changes
        theta in place, so that the rate may change on the way.

    Notes
    -----
    Hint: the left panel of the lesson's first figure.
    """
    raise NotImplementedError


def noise_ratio(vae, x, n_samples):
    """By which factor leave-one-out is noisier than the reparameterization, at the parameters of a given model.

    The noise is the total variance of the gradient of the encoder's weights, for the batch x. Ask it for models with
    K = 2, 10, 40 of your own: does it grow like K?

    Parameters
    ----------
    vae : tv.VAE
        A model, with any number of latents.
    x : array (B, D)
        A batch of images.
    n_samples : int
        S, at least 2.

    Returns
    -------
    float
        The ratio. It is an estimate: the judge allows for 20%.

    Notes
    -----
    Hint: tv.variance measures, and compares.
    """
    raise NotImplementedError


def predicted_ratio(f, n_samples):
    """The score function's variance over leave-one-out's, predicted from losses alone, for any number of samples.

    As in the lesson: f and the score are taken as independent, variances are averaged over images before they are
    divided.

    Parameters
    ----------
    f : array (N, B)
        The losses of N codes for each of B images.
    n_samples : int
        S, at least 2.

    Returns
    -------
    float
        The ratio. For S = 2 it is the lesson's; what is it for S = 8?

    Notes
    -----
    Hint: the variance of a difference between f of one sample and a mean of S - 1 others.
    """
    raise NotImplementedError
