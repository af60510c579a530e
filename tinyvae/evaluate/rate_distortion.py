"""What a code costs and what it is worth: rate, distortion, mutual information, all codes against the prior."""

import hashlib
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.evaluate.aggregate import Mixture, kl_on_a_grid
from tinyvae.evaluate.bound import require_latents
from tinyvae.evaluate.discrete import rate_terms, states
from tinyvae.evaluate.estimate import Estimate
from tinyvae.kernels.data import only_bits
from tinyvae.machine import disk, team, workers
from tinyvae.machine.arena import one_per_thread
from tinyvae.machine.progress import passing_bar
from tinyvae.objectives import finite

__all__ = ["Rates", "rates"]

ROWS = 500  # decoder rows that are held at once, a worker: few enough for the cache, enough for BLAS
POINTS = 1000  # data points that are encoded at once
NODES = 6, 32  # of quadrature in each latent, at least and at most
PAIRS = 2**24  # densities that nodes beyond the least may cost
METHODS = ("monte_carlo", "quadrature", "enumeration")
NEAR = 0.5  # nats below its most: there the information says how many data points there are


class Rates(NamedTuple):
    """What `rates` returns: nats a data point, means over the n data points, p*(x) being the distribution of these.

    An Estimate's error is the standard error of the draws; of quadrature, how far a coarser rule is from it, of each
    data point or of the whole grid, and of the information at least what it lacks in R = I + KL; of enumeration, what
    was rounded.

    Attributes
    ----------
    rate : Estimate
        R = mean KL(q(z | x) || p(z)): what a code costs, given the prior. Exact.
    distortion : Estimate
        D = mean E_q[-log p(x | z)]: what the code leaves open.
    information : Estimate
        I, the mutual information of x and z under p*(x) q(z | x): what a code tells about which data point it came
        from. At most `entropy`. With all n codes in the mixture unbiased; else too high on average.
    aggregate_kl : Estimate
        KL(q(z) || p(z)) of the mixture q(z) = mean_n q(z | x_n). With all n codes unbiased; else too low on average.
    information_low, information_high : Estimate
        On average below and above the information of these data, and of the distribution that they were drawn from: of
        n points it is less than that of many. The first counts a code's own density among those of the others (Oord
        et al. 2018), the second leaves it out (Poole et al. 2019), and may be far too high, more than the rate.
    entropy : float
        H of p*: log n, less where rows are equal. That of the distribution they came from is another, and unknown.
    bits : bool
        Whether p(x | z) is a probability, of bits or levels, and so D not below H - I: not for densities.
    points : array (n, 4)
        Each data point's share of R, D, I and KL(q(z) || p(z)); of the last, E_q[log q(z) - log p(z)].
    decoder_passes, encoder_passes : int
        What it took: rows.
    """

    rate: Estimate
    distortion: Estimate
    information: Estimate
    aggregate_kl: Estimate
    information_low: Estimate
    information_high: Estimate
    entropy: float
    bits: bool
    points: np.ndarray
    decoder_passes: int
    encoder_passes: int

    @property
    def limits(self):
        """The limits (low, high) of I for these data: from H - D, if D is of probabilities, or 0, to R and H."""
        low = self.entropy - self.distortion.value if self.bits else 0.0
        return max(0.0, low), min(self.rate.value, self.entropy)

    def over_data(self):
        """{"rate": Estimate, ...}: the four, with the standard errors of data points that were drawn at random.

        To first order in 1/n; that I is too low for few data, and KL(q(z) || p(z)) too high, comes on top.
        """
        names = ("rate", "distortion", "information", "aggregate_kl")
        errors = self.points.std(axis=0, ddof=1) / np.sqrt(len(self.points))
        return {name: Estimate(getattr(self, name).value, float(error)) for name, error in zip(names, errors)}


def rates(vae, x, rng=None, n_samples=20, n_codes=None, method="monte_carlo"):
    """Rate, distortion, mutual information and the KL of all codes together to the prior, each with its error.

        R = mean KL(q(z | x) || p(z)) = I + KL(q(z) || p(z)),    H - D <= I <= R

    The first is an identity, so that how far an estimate of I and one of the KL are from R tells what they are worth.
    I = R where q(z) is the prior; H - D = I where p(x | z) is the encoder's own conditional of x. If p(x | z) are
    probabilities, of bits or levels, the limits hold for the n given points, each with probability 1/n (H = log n if no
    two are equal), as for the distribution that they came from (H is unknown, and at most R + D of any model on data
    that it has not seen), with each one's own H, D, I and R. If they are densities, they hold for a distribution that
    has one, of which H is the integral, not for n points: there D has no least value. Of grey pixels under a Bernoulli,
    H is that of bits drawn from the greys. In the plane of R and D, all models lie on or above the line R + D = H.

    Parameters
    ----------
    vae : VAE
        The model, with any prior.
    x : array (n, D)
        The data, at least two points.
    rng : numpy.random.Generator, optional
        For "monte_carlo". Its state decides the result, whatever the number of workers, and moves on.
    n_samples : int
        Samples a data point, at least 2, for "monte_carlo".
    n_codes : int, optional
        So many other data points' codes, drawn anew for each sample, stand for the mixture, at least 1; all by default.
        The time grows with n * n_samples * n_codes.
    method : str
        "monte_carlo": z ~ q(z | x). I and the KL come from the same z; that they add up to R (which is in closed form)
        tells about the noise alone. "quadrature": up to three latents, each of R, I and the KL in its own way: in
        closed form, from nodes around each code, on a grid over the latent space. It draws nothing. The nodes of a
        wide code may miss narrow ones that it holds, the grid does not: where R - I - KL is not near 0, I is off.
        "enumeration": the sum over all states of bits or choices, at most 4,096. It is exact.

    Returns
    -------
    Rates

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, a likelihood that is no density, quadrature of more than three latents, of latents
        that are not Gaussian, or of codes too narrow for a grid, or enumeration of what has no states, or too many.
    NonFiniteLoss
        If a term is not finite.

    Warns
    -----
    UserWarning
        Where the information comes near its most, log n.

    Notes
    -----
    Source: Hoffman & Johnson 2016 (the identity); Alemi et al. 2018 (the limits); Poole et al. 2019 (low and high).
    """
    require_latents("the rate", vae)
    likelihoods.require_density(vae.likelihood, "rates")
    validate.choice("method", method, METHODS)
    x, n_samples = vae.check_data(x), validate.integer("n_samples", n_samples, least=2)
    if len(x) < 2:
        raise ValueError("x must hold at least two data points: a single one has nothing to be told from, got one")
    n_codes = len(x) - 1 if n_codes is None else validate.integer("n_codes", n_codes, least=1)
    if n_codes > len(x) - 1:
        raise ValueError(f"n_codes must be at most {len(x) - 1}, the other data points, got {n_codes}; None takes all")
    if method == "monte_carlo":
        seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))
    elif n_codes < len(x) - 1:
        raise ValueError(f"{method} takes all codes: leave n_codes out, or take method='monte_carlo'")
    with team.ready():
        q = _encoded(vae, x)
        kl = finite("the KL term", q.kl())
        if method == "monte_carlo":
            means, errors, points, passes = _monte_carlo(vae, x, q, seed, n_samples, n_codes)
        elif method == "enumeration":
            means, errors, points, passes = _enumeration(vae, x, q)
        else:
            _require_quadrature(vae, q)
            means, errors, points, passes = _quadrature(vae, x, q)
    distortion, information, aggregate_kl, low, high = (Estimate(float(m), float(e)) for m, e in zip(means, errors))
    bits = likelihoods.takes_bits(vae.likelihood) and all(map(only_bits, disk.pieces(x.ravel())))
    found = Rates(
        Estimate(float(kl.mean()), 0.0), distortion, information, aggregate_kl, low, high, _entropy(x),
        bits or hasattr(vae.likelihood, "levels"),
        np.column_stack([kl, points[:, [0, 1, 2]]]), passes, len(x),
    )  # fmt: skip
    if information.value > found.entropy - NEAR:
        warnings.warn(
            f"the information, {information.value:.2f} nats, is near its most, {found.entropy:.2f}, the entropy of the "
            "given data: it counts these points rather than what a code tells of all that could be; give more data",
            stacklevel=2,
        )
    return found


def _encoded(vae, x):
    """q(z | x_n) of all n data points, in float64."""
    pieces = []
    for start in range(0, len(x), POINTS):
        pieces.append(vae.encode(x[start : start + POINTS]).params.astype("float64"))
        disk.release(x)
    return vae.latents(np.concatenate(pieces))


def _entropy(x):
    """H of the distribution that gives each row of x (n, D) the probability 1/n, nats."""
    rows = (row for piece in disk.pieces(x) for row in piece)
    counts = Counter(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    shares = np.array(list(counts.values())) / len(x)
    return -float(shares @ np.log(shares))


def _losses(vae, x, z, empty):
    """-log p(x | z), nats: x (p, D), z (s, p, K) -> (s, p) float64."""
    outputs, _ = vae.decoder.using(empty).propagate(z.reshape(-1, vae.code_size).astype(vae.dtype))  # s * p, D
    losses = empty(z.shape[:2], vae.dtype)  # s, p
    vae.likelihood.loss(outputs, x, losses.reshape(-1), **vae.own)
    return finite("the reconstruction term", losses).astype("float64")


def _terms(mixture, points, z, n_others, stream):
    """What z (s, p, K), drawn of some points' q, says of I, the KL, and I low and high: 4 arrays (s, p)."""
    q, own_code = mixture.q, np.arange(len(mixture.q.params))[points]  # p
    own = q.like(q.params[points]).log_prob(z)  # s, p
    flat = z.reshape(-1, z.shape[2]), np.tile(own_code, len(z))
    rest = mixture.log_density_of_others(*flat, n_others, stream).reshape(own.shape)
    together, drawn = _mixed(own, rest, 1 / len(q.params)), _mixed(own, rest, 1 / (n_others + 1))
    return own - together, together - q.prior.log_prob(z), own - drawn, own - rest


def _mixed(own, rest, share):
    """log[share exp(own) + (1 - share) exp(rest)]."""
    return np.logaddexp(own + np.log(share), rest + np.log1p(-share))


def _monte_carlo(vae, x, q, seed, n_samples, n_codes):
    """Means (5,) of D, I, KL, I low and high; their standard errors; each point's (n, 5); decoder rows."""
    mixture, arena, n_points = Mixture(q), one_per_thread(), max(1, ROWS // n_samples)

    def chunks():
        for start in range(0, len(x), n_points):
            for s in range(0, n_samples, ROWS):
                stream = np.random.default_rng(seed.spawn(1)[0])
                yield slice(start, start + n_points), min(ROWS, n_samples - s), stream

    def sums(chunk):
        points, n, stream = chunk
        some = q.like(q.params[points])
        z = some.sample(some.noise(stream, n))  # s, p, K
        losses = _losses(vae, x[points].astype(vae.dtype, copy=False), z, arena())
        terms = np.stack([losses, *_terms(mixture, points, z, n_codes, stream)], axis=2)  # s, p, 5
        mean = terms.mean(axis=0)
        return points, n, mean, np.square(terms - mean).sum(axis=0)

    mean, squares, so_far = np.zeros((len(x), 5)), np.zeros((len(x), 5)), np.zeros((len(x), 1))
    with passing_bar(len(x) * n_samples, "draw") as bar:
        for points, n, new, new_squares in workers.run(sums, chunks()):
            off, before = new - mean[points], so_far[points].copy()
            so_far[points] = before + n
            mean[points] += off * n / so_far[points]
            squares[points] += new_squares + off * off * before * n / so_far[points]
            bar.update(len(new) * n)
    errors = np.sqrt(squares.sum(axis=0) / (n_samples - 1) / n_samples) / len(x)
    return mean.mean(axis=0), errors, mean, len(x) * n_samples


def _enumeration(vae, x, q):
    """The same as `_monte_carlo`, by the sum over all states."""
    z, _ = states(vae, "rates by enumeration", "method='monte_carlo'")
    points = rate_terms(vae, x, Mixture(q), z)
    means = points.mean(axis=0)
    errors = np.full(5, abs(q.kl().mean() - means[1] - means[2]))  # what q's numbers round
    errors[0] = np.finfo(vae.dtype).eps * abs(means[0])  # and the decoder's
    return means, errors, points, len(z)


def _require_quadrature(vae, q):
    """Raise unless there are nodes and a grid for q."""
    if vae.n_latents > 3 or not (hasattr(q, "nodes") and hasattr(q, "variance")):
        other = "'monte_carlo'" if vae.n_states == np.inf else "'enumeration' or 'monte_carlo'"
        raise ValueError(
            "method 'quadrature' is for Gaussian latents, at most 3, got "
            f"{vae.n_latents} of {q.name!r}; take method={other}"
        )


def _quadrature(vae, x, q):
    """The same as `_monte_carlo`: D and I from nodes around each code, the KL on a grid over all of them."""
    mixture, arena = Mixture(q), one_per_thread()
    aggregate_kl, kl_error = kl_on_a_grid(mixture)  # first, for it may be refused
    most = min((PAIRS / len(x) ** 2) ** (1 / vae.n_latents), 4096 ** (1 / vae.n_latents), NODES[1])
    nodes = max(NODES[0], int(most))
    nodes = nodes, nodes // 2 + 1  # the rule that counts, and the one that tells its error
    n_points = max(1, ROWS // nodes[0] ** vae.n_latents)

    def chunk_means(start):
        points, found = slice(start, start + n_points), []
        pixels = x[points].astype(vae.dtype, copy=False)
        for n_nodes in nodes:
            z, weights = q.like(q.params[points]).nodes(n_nodes)  # N, p, K; N, p
            terms = _losses(vae, pixels, z, arena()), *_terms(mixture, points, z, len(x) - 1, None)
            found.append([(weights * term).sum(axis=0) for term in terms])
        return np.array(found)  # 2, 5, p

    pieces = []
    with passing_bar(len(x), "point") as bar:
        for piece in workers.run(chunk_means, range(0, len(x), n_points)):
            pieces.append(piece)
            bar.update(piece.shape[2])
    fine, coarse = np.concatenate(pieces, axis=2)  # 5, n each
    means, errors = fine.mean(axis=1), np.abs(fine - coarse).mean(axis=1)  # as if no point's made up for another's
    errors[0] += np.finfo(vae.dtype).eps * abs(means[0])  # what the decoder rounds
    means[2], errors[2] = aggregate_kl, kl_error
    # Where narrow codes lie between the nodes of wide ones both rules may miss them; the grid does not.
    errors[[1, 3]] = np.maximum(errors[[1, 3]], abs(q.kl().mean() - means[1] - aggregate_kl))
    return means, errors, fine.T, len(x) * sum(n_nodes**vae.n_latents for n_nodes in nodes)
