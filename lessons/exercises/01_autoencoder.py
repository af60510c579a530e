"""Exercises of lesson 01, the autoencoder. Check with: tinyvae exercise 01 --check FILE"""


def plane_angle(A, B):
    """How far two planes through the origin lie apart: the largest of their angles, in radians.

    A, B: arrays (D, K) of float64. The columns of each are independent and span its plane; they are neither of unit
    length nor at right angles. Another basis of the same plane must give the same angle, and the same plane 0.

    Returns a float between 0 and pi / 2.

    Hint: `np.linalg.qr`, then the lesson's cell on PCA.
    """
    raise NotImplementedError


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    """The encoder's part of the lesson's training step: the slope of the loss at mu and at logvar.

        z = mu + sigma eps        loss = reconstruction(z) + beta · KL, both means over the B images of the batch

    The KL of an image is that of N(mu, sigma^2) to N(0, I), summed over the K latents. logvar = log sigma^2.

    mu, logvar, eps: arrays (B, K).
    dz: array (B, K), the slope of the batch's mean reconstruction loss at z, as the decoder's `backward` gives it.
    beta: float, at least 0.

    Returns two arrays (B, K): d loss / d mu and d loss / d logvar.

    Hint: two paths lead from logvar to the loss; write sigma as exp(logvar / 2) and follow both.
    """
    raise NotImplementedError


def best_ratio(v, s):
    """Spread / noise of the best linear VAE on one pixel of any variance.

    The pixel is x ~ N(0, v). Encoder z = a x + sigma eps, decoder N(b z, s^2). The spread of the codes is the standard
    deviation of a x, the noise is sigma. The lesson solves it for v = 1; a VAE may also give the pixel up.

    v, s: floats above 0.

    Returns a float, at least 0: the ratio at which the VAE's loss (beta = 1) is least.

    Hint: write equation (2) for variance v, and ask what happens at r = 0 if v is small.
    """
    raise NotImplementedError
