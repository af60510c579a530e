"""Exercises of lesson 00, a variational autoencoder on one page. Check yours: `tinyvae exercise 00 --check FILE`

The page's encoder puts out logvar = log σ². Suppose that it puts out r = log σ, the logarithm of the standard
deviation, which is as good: it may be any real number, too. Three places of the page change. Write them anew.

Shapes: S samples, B images, K numbers in a code.
"""


def draw_codes(mu, log_sigma, eps):
    """Codes z = μ + σ ε, S of them for each image.

    mu, log_sigma : arrays (B, K), what the encoder puts out.
    eps : array (S, B, K), standard normal noise.
    Returns z, an array (S, B, K).

    Hint: start from the page's `sample`; what is σ now?
    """
    raise NotImplementedError


def kl_and_slopes(mu, log_sigma):
    """The KL of each image's q = N(μ, σ²) to the standard Gaussian, nats, and its slopes in μ and in r = log σ.

    mu, log_sigma : arrays (B, K).
    Returns three arrays: the KL (B,), dKL/dμ (B, K) and dKL/dr (B, K), none of them averaged over images.

    Hint: write the page's formula with e^(2r) for σ², then differentiate it in r.
    """
    raise NotImplementedError


def score_of_codes(mu, log_sigma, z):
    """The slopes of log q(z) in μ and in r = log σ, with z held where it is.

    mu, log_sigma : arrays (B, K).
    z : array (S, B, K), codes.
    Returns two arrays (S, B, K): dlog q(z)/dμ and dlog q(z)/dr, for each of the K numbers on its own.

    Hint: log q(z) is a sum over k of -log σ - (z - μ)² / (2 σ²), and a constant.
    Over draws of q, each slope has mean 0.
    """
    raise NotImplementedError
