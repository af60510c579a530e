"""Exercises of lesson 04, backprop by hand. Check yours: `tinyvae exercise 04 --check FILE`

Three backward passes, each for pencil and paper first. Before you ask the judge, ask `tinyvae.check.gradients`: it
needs no right answer, only the loss that your gradient belongs to.

Shapes: B data points in a batch, n inputs and m outputs of a layer, S samples a data point, D pixels, K latents.
"""


def softplus_backward(x, W, b, dy):
    """The backward pass of a dense layer with the activation softplus, y = log(1 + e^a), a = x W + b.

    x : array (B, n), the input.
    W : array (n, m), the weights.
    b : array (m,), the biases.
    dy : array (B, m), the derivative of the loss with respect to y.
    Returns three arrays, the derivatives of the loss with respect to x (B, n), W (n, m) and b (m,). They must be finite
    for an a of any size, such as 800 or -800.

    Hint: only one of the lesson's five equations for tanh changes.
    """
    raise NotImplementedError


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    """Where a VAE's backward pass begins: the derivatives of its loss in the logits, and of its KL in μ and logvar.

        loss = 1/B Σ_b [ 1/S Σ_s -log p(x_b | logits_sb) + beta KL(N(μ_b, exp(logvar_b)) || N(0, I)) ]

    logits : array (S, B, D), the decoder's output for each of S samples; a pixel is white with probability
        1 / (1 + e^-logit), independent of the others.
    x : array (B, D), pixels from 0 to 1; each of the S samples has the same.
    mu, logvar : arrays (B, K), the encoder's output. The logits are taken as given: what z does is the next exercise.
    beta : float.
    Returns three arrays: the loss's derivatives with respect to the logits (S, B, D), mu (B, K) and logvar (B, K).

    Hint: the lesson has each slope for a single pixel and a single latent; the averages do the rest.
    """
    raise NotImplementedError


def sampling_backward(rho, eps, dz):
    """The backward pass of the sampling step of an encoder that puts out μ and ρ, with σ = log(1 + e^ρ): z = μ + σ ε.

    rho : array (B, K), what the encoder puts out for the width.
    eps : array (S, B, K), standard normal noise, held fixed.
    dz : array (S, B, K), the derivative of the loss with respect to each of the S samples z.
    Returns two arrays (B, K): the derivatives of the loss with respect to mu and rho.

    Hint: how many paths lead from one μ to the loss?
    """
    raise NotImplementedError
