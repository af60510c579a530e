"""Exercises of lesson 11, what is in a latent space. Check yours: `tinyvae exercise 11 --check FILE`"""


def equal_mass_codes(quantile, n_side):
    """A square grid of codes of two independent latents, each code standing for 1/n_side² of the prior.

    quantile : function; of an array of probabilities in (0, 1) it returns the values of one latent below which it lies
        with these probabilities (the inverse of its distribution function F). It may be infinite at 0 and at 1.
    n_side : int, codes along each side.
    Returns an array (n_side², 2) of codes z = (z_1, z_2), row after row from the top, as one reads: z_1 grows from left
    to right, z_2 from bottom to top.

    Hint: cut (0, 1) into n_side equal parts. Which point stands for a part?
    """
    raise NotImplementedError


def whiten(codes):
    """The affine map that gives codes mean 0 and covariance I, and the one that takes draws of N(0, I) to codes.

    codes : array (n, K), with n > K, their covariance is of full rank; take the covariance that divides by n - 1.
    Returns three arrays: the mean m (K,), A (K, K) and B (K, K), such that (codes - m) @ A has mean 0 and covariance I,
    and w @ B + m is a code for w ~ N(0, I): A @ B is the identity.

    Hint: the covariance of (codes - m) @ A is A.T @ C @ A. Factor C.
    """
    raise NotImplementedError


def best_noise(slopes, s):
    """The best log-variances of a code's noise for given slopes of the decoder, and what each slope costs.

    slopes : array (D, K), J: the decoder's mean is g(mu) + J @ (z - mu), a pixel may miss by s.
    s : number, the standard deviation of a Gaussian pixel.
    Returns logvar (K,), which makes E_q[-log p(x | z)] + KL(q to N(0, I)) least, and costs (K,), nats: for each latent,
    how much larger that least loss is than it would be with a slope of 0 there. mu is given; its share stays out.

    Hint: write down what the loss says of one sigma_k². It is equation (1) of the lesson.
    """
    raise NotImplementedError
