"""Filling in: on a linear-Gaussian model against the closed form, for each likelihood, on digits against PPCA."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import validate
from tinyvae.problems import LinearGaussian


class Gaussian:
    """N(outputs, s^2), for tests that stand apart from the package's likelihoods."""

    name, outputs, is_density = "gaussian of a known variance", 1, True

    def __init__(self, s):
        self.s = s

    def check(self, name, x, n_features):
        return validate.array(name, x, ("n", n_features))

    def parameters(self, n_features):
        return {}

    def loss(self, outputs, x, losses):
        off = (outputs - np.resize(x, outputs.shape)) / self.s
        losses[:] = 0.5 * (off * off + np.log(2 * np.pi * self.s**2)).sum(axis=1)

    def loss_and_slope(self, outputs, x, losses):
        self.loss(outputs, x, losses)
        outputs[:] = (outputs - np.resize(x, outputs.shape)) / self.s**2

    def __call__(self, outputs):
        def sample(rng):
            return outputs + self.s * rng.standard_normal(outputs.shape)

        return SimpleNamespace(mean=outputs, sample=sample)


def linear_vae(model, bad=0.0, dtype="float64"):
    """A VAE whose decoder is the LinearGaussian's; its q is the best diagonal one; `bad`: too wide, and elsewhere."""
    D, K = model.W.shape
    vae, A = tv.VAE(D, K, (), likelihood=Gaussian(model.s), dtype=dtype), np.linalg.solve(model.M, model.W.T)
    vae.params["decoder.W0"][:], vae.params["decoder.b0"][:] = model.W.T, model.m
    vae.params["encoder.W0"][:], vae.params["encoder.W0"][:, :K] = 0, (1 - bad) * A.T
    vae.params["encoder.b0"][:K] = bad - (1 - bad) * A @ model.m
    vae.params["encoder.b0"][K:] = np.log(model.s**2 / np.diag(model.M)) + 3 * bad
    return vae


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    return LinearGaussian(rng.standard_normal((5, 2)), rng.standard_normal(5), 0.7)


HOLES = np.array([[0, 0, 1, 1, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)


@pytest.fixture(scope="module")
def x(model):
    return np.where(HOLES, np.nan, model.sample(len(HOLES), np.random.default_rng(1)))


def conditional(model, x):
    """Mean and covariance of what is missing of one row, given the rest, under N(m, W W' + s^2 I)."""
    h, C = np.isnan(x), model.W @ model.W.T + model.s**2 * np.eye(len(x))
    gain = C[np.ix_(h, ~h)] @ np.linalg.inv(C[np.ix_(~h, ~h)])
    return model.m[h] + gain @ (x[~h] - model.m[~h]), C[np.ix_(h, h)] - gain @ C[np.ix_(~h, h)]


def deviations(model, x, draws):
    """How far the draws' means and covariances are from the closed form, in standard errors: two arrays."""
    means, covariances = [], []
    for i in np.flatnonzero(np.isnan(x).any(axis=1)):
        (mean, cov), drawn = conditional(model, x[i]), draws[:, i, np.isnan(x[i])]
        v, n = np.diag(cov), len(draws)
        means.extend((drawn.mean(axis=0) - mean) / np.sqrt(v / n))
        # Of a Gaussian's sample covariance: Var = (C_ij^2 + C_ii C_jj) / n.
        covariances.extend(((np.cov(drawn.T) - cov) / np.sqrt((cov**2 + np.outer(v, v)) / n))[np.triu_indices(len(v))])
    return np.abs(means), np.abs(covariances)


@pytest.mark.parametrize("bad", [0.0, 0.25], ids=["a good encoder", "a bad one"])
def test_draws_have_the_closed_forms_mean_and_covariance(bad, model, x):
    draws = tv.evaluate.impute(linear_vae(model, bad), x, 1000, np.random.default_rng(2), n_steps=100)
    means, covariances = deviations(model, x, draws)
    # 9 means and 21 covariances each: beyond 4 standard errors by chance in 1 run of 500, were there no fixed seed
    assert means.max() < 4 and covariances.max() < 4, (means, covariances)


def test_pseudo_gibbs_is_biased_where_the_encoder_is_bad(model, x):
    vae = linear_vae(model, 0.25)
    draws = tv.evaluate.impute(vae, x, 1000, np.random.default_rng(2), n_steps=100, method="pseudo_gibbs")
    means, _ = deviations(model, x, draws)
    assert np.median(means) > 10  # the test above has teeth: the same draws would not pass


def test_what_is_there_stays_bit_for_bit_and_what_is_not_differs_from_draw_to_draw(model, x):
    for dtype in ("float32", "float64"):
        for own in ("float32", "float64"):
            given = x.astype(own)
            draws = tv.evaluate.impute(linear_vae(model, dtype=dtype), given, 3, np.random.default_rng(0), 5)
            assert draws.shape == (3, *x.shape) and draws.dtype == own and np.isfinite(draws).all()
            for one in draws:
                np.testing.assert_array_equal(one[~HOLES], given[~HOLES])
            assert len(np.unique(draws[:, HOLES])) == 3 * HOLES.sum()
    assert np.isnan(x[HOLES]).all()  # the data are not written into


def test_the_seed_decides_and_the_number_of_workers_does_not(model, monkeypatch):
    vae, rng = linear_vae(model, dtype="float32"), np.random.default_rng(0)
    x = np.where(rng.random((90, 5)) < 0.5, np.nan, model.sample(90, rng)).astype("float32")
    found = []
    for n in ("1", "3"):
        monkeypatch.setenv("TINYVAE_WORKERS", n)
        found.append(tv.evaluate.impute(vae, x, 20, np.random.default_rng(5), 4))  # four chunks
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], tv.evaluate.impute(vae, x, 20, np.random.default_rng(6), 4))


def test_no_two_chains_share_their_numbers(model):
    draws = tv.evaluate.impute(linear_vae(model), np.full((1, 5), np.nan), 1100, np.random.default_rng(0), 2)
    assert len(np.unique(draws[:, 0, 0])) == 1100  # three chunks of chains


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_are_filled_in_with_bits(dtype, digits):
    vae, rng = tv.VAE(64, 2, (8,), dtype=dtype, seed=0), np.random.default_rng(0)
    x = tv.datasets.binarize(digits[:6], rng).astype(dtype)
    x[rng.random(x.shape) < 0.4] = np.nan
    draws = tv.evaluate.impute(vae, x, 4, rng, 10)
    assert set(np.unique(draws)) == {0, 1} and draws.dtype == dtype
    whole = tv.datasets.binarize(digits[:6], rng)  # uint8: nothing can be missing
    np.testing.assert_array_equal(tv.evaluate.impute(vae, whole, 2, rng, 3), np.stack([whole, whole]))


def likelihoods():
    """All that the package has and that are densities or distributions, by name."""
    return [name for name in tv.likelihoods.names() if not hasattr(tv.likelihoods.LIKELIHOODS[name], "refuse")]


@pytest.mark.parametrize("name", likelihoods())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_drawn_lies_in_the_support(name, dtype, digits):
    vae, rng = tv.VAE(64, 2, (8,), likelihood=name, dtype=dtype, seed=0), np.random.default_rng(0)
    x = np.where(rng.random((5, 64)) < 0.5, np.nan, digits[:5]).astype(dtype)
    vae.check_data(tv.evaluate.impute(vae, x, 2, rng, 5).reshape(10, 64))


class NoDensity(Gaussian):
    name, is_density = "no density", False

    @staticmethod
    def refuse(what):
        raise ValueError(f"{what} asks for a density, which the likelihood 'no density' is not")


def test_what_cannot_be_right_is_refused(model, x):
    vae, rng = linear_vae(model), np.random.default_rng(0)
    with pytest.raises(ValueError, match="impute asks for a density, which the likelihood 'no density' is not"):
        tv.evaluate.impute(tv.VAE(5, 2, (), likelihood=NoDensity(1.0), dtype="float64"), x, 2, rng)
    if "squared_error" in tv.likelihoods.names():
        with pytest.raises(ValueError, match="impute asks for a density, which the likelihood 'squared_error'"):
            tv.evaluate.impute(tv.VAE(5, 2, (), likelihood="squared_error"), x, 2, rng)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 5\)"):
        tv.evaluate.impute(vae, x[:, :4], 2, rng)
    with pytest.raises(ValueError, match=r"x must be finite, got inf at index \(1, 1\)"):
        tv.evaluate.impute(vae, _with(x, (1, 1), np.inf), 2, rng)
    with pytest.raises(ValueError, match=r"x must lie in \[0, 1\], got values from .* to 7"):
        tv.evaluate.impute(tv.VAE(5, 2), np.full((1, 5), [7, np.nan, 0, 0, 0]), 2, rng)
    with pytest.raises(TypeError, match="masked"):
        tv.evaluate.impute(vae, np.ma.masked_invalid(x), 2, rng)
    with pytest.raises(
        ValueError, match="method must be one of 'metropolis_within_gibbs', 'pseudo_gibbs', got 'gibbs'"
    ):
        tv.evaluate.impute(vae, x, 2, rng, method="gibbs")
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        tv.evaluate.impute(vae, x, 2, 0)
    with pytest.raises(ValueError, match="n_draws must be at least 1"):
        tv.evaluate.impute(vae, x, 0, rng)
    vae.params["decoder.b0"][:] = np.nan
    with pytest.raises(tv.NonFiniteLoss, match="the decoder's output became nan"):
        tv.evaluate.impute(vae, x, 2, rng)


def _with(x, where, value):
    x = x.copy()
    x[where] = value
    return x


# --- on digits --------------------------------------------------------------------------------------------

LOWER = np.arange(64) >= 32


def ppca_fill(train, x, n_latents):
    """E[lower half | upper half] under probabilistic PCA, by maximum likelihood (Tipping & Bishop 1999)."""
    mean, values, vectors = train.mean(axis=0), *np.linalg.eigh(np.cov(train.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = values[n_latents:].mean()
    W = vectors[:, :n_latents] * np.sqrt(values[:n_latents] - noise)
    C = W @ W.T + noise * np.eye(len(mean))
    gain = np.linalg.solve(C[np.ix_(~LOWER, ~LOWER)], C[np.ix_(~LOWER, LOWER)])
    return mean[LOWER] + (x[:, ~LOWER] - mean[~LOWER]) @ gain


def squared_error(filled, x):
    """Of each row's lower half."""
    return ((filled - x[:, LOWER]) ** 2).sum(axis=1)


@pytest.mark.slow
def test_the_lower_half_of_digits_is_filled_in_better_than_by_the_mean_image_and_by_ppca():
    data, order = tv.datasets.load("digits"), np.random.default_rng(0).permutation(1437)
    train, valid, test = data.train[order[:1200]], data.train[order[1200:]], data.test
    vae = tv.VAE(64, 16, (256,), likelihood=Gaussian(0.15), seed=0)
    for _ in tv.train(vae, train, epochs=200, batch_size=100, seed=0):
        pass
    holes = np.where(LOWER, np.nan, test)
    draws = tv.evaluate.impute(vae, holes.astype("float32"), 24, np.random.default_rng(0), n_steps=600)
    errors = squared_error(draws.mean(axis=0)[:, LOWER], test)

    wide = train.astype("float64")
    chosen = min(range(1, 60), key=lambda k: squared_error(ppca_fill(wide, valid, k), valid).mean())
    others = {"mean image": np.tile(wide.mean(axis=0)[LOWER], (len(test), 1)), "PPCA": ppca_fill(wide, test, chosen)}
    for name, filled in others.items():
        less = squared_error(filled, test) - errors  # paired: the same images
        value, error = less.mean(), less.std(ddof=1) / np.sqrt(len(less))
        print(f"{name}: {value + errors.mean():.3f}, VAE {errors.mean():.3f}, {value:.3f} less, +- {1.96 * error:.3f}")
        assert value > 1.96 * error, name
