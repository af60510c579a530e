"""Exercises of lesson 10, sticking the landing and tighter bounds. Check yours: `tinyvae exercise 10 --check FILE`

The model of the first and the third is the lesson's: z ~ N(0, 1), x | z ~ N(z, 1), and q = N(mu, s²).
"""


def variances_of_a_draw(mu, s):
    """The lesson's table of variances, where x = 2 is observed in place of x = 1.

    mu, s : numbers, q = N(mu, s²).
    Returns an array (3, 2): a row for the sampled KL, the KL by formula and the path derivative, in this order;
    the columns are the variances of one sample's d/dμ and d/ds.

    Hint: by algebra, as in the lesson, or by quadrature over ε; write dl/dz for x = 2 first.
    """
    raise NotImplementedError


def dreg_by_hand(losses, slopes, sigma, eps):
    """DReG's gradient of the importance-weighted loss -log 1/S Σ_s w_s, for B data points.

    losses : array (S, B), l_s = -log w_s, nats; they may be in the thousands.
    slopes : array (S, B, K), dl_s/dz.
    sigma : array (B, K), q's standard deviation.
    eps : array (S, B, K), the noise: z_s = μ + σ ε_s.
    Returns two arrays (B, K): the gradient for μ and for logvar = log σ².

    Hint: Σ_s wn_s² · dl_s/dz · dz_s/dλ. Subtract the least loss of each data point before you take exponentials.
    """
    raise NotImplementedError


def gap_of_four(mu, s):
    """log p(x) - L_4 for x = 1, nats, exact to 1e-6, by another way than the lesson's.

    mu, s : numbers, q = N(mu, s²), with s between 0.75 and 1.1.
    Returns a number.

    Hint: L_4 is an integral over four standard normals: nodes for each of them, on a grid.
    """
    raise NotImplementedError
