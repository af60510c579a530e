"""Continuity and completeness of a latent space, and a probe with few labels."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinyvae as tv


def rng(seed=0):
    return np.random.default_rng(seed)


class Model:
    """A decoder that is a function of z (n, K), and nothing else that a model has."""

    dtype = np.dtype("float64")

    def __init__(self, function, n_latents=1, prior=tv.distributions.StandardNormal):
        self.function, self.n_latents, self.prior = function, n_latents, prior() if isinstance(prior, type) else prior

    def decode(self, z):
        return SimpleNamespace(mean=np.reshape(self.function(z), (len(z), -1)))

    def check_data(self, x, name="x"):
        return x


MIX = np.array([[3.0, 0.5], [-1.0, 2.0]])
STEP = 0.8
R = 1 - STEP**2 / 2
DECODERS = {  # what is decoded, latents, and the continuity by Hermite polynomials, or by the angle of two planes
    "affine": (lambda z: z @ MIX + 5, 2, 1.0),
    "a latent without use": (lambda z: 7 * z[:, :1], 3, 1.0),
    "square": (lambda z: z**2, 1, 1 / (1 + R)),
    "product": (lambda z: z[:, 0] * z[:, 1], 2, 1 / (1 + R)),
    "line and square": (lambda z: np.hstack([z, (z**2 - 1) / np.sqrt(2)]), 1, 2 / (1 + 1 + R)),
    "cube": (lambda z: z**3 - 3 * z, 1, (1 - R) / (1 - R**3)),
    "cliff": (np.sign, 1, (1 - R) * 2 / (4 * np.arccos(R) / np.pi)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_continuity_is_what_the_theory_says(name):
    function, n_latents, exact = DECODERS[name]
    found = tv.evaluate.continuity(Model(function, n_latents), rng(), n_draws=20_000, step=STEP)
    assert abs(found.value - exact) < 4 * found.error < 0.4 * exact


def test_continuity_knows_its_error():
    function, n_latents, exact = DECODERS["square"]
    found = [tv.evaluate.continuity(Model(function, n_latents), rng(i), n_draws=400, step=STEP) for i in range(200)]
    held = np.mean([abs(one.value - exact) < 1.96 * one.error for one in found])
    assert abs(held - 0.95) < 0.05  # three standard errors of 200 runs


def test_where_the_codes_lie_does_not_matter():
    def bent(w):
        return np.hstack([np.sin(w), w[:, :1] * w[:, 1:]])

    codes = rng(1).standard_normal((500, 2))
    moved = Model(lambda z: bent((z - 4) @ np.linalg.inv(MIX)), 2, prior=None)  # an autoencoder has no prior
    plain = [tv.evaluate.continuity(Model(bent, 2), rng(2), codes=one, n_draws=20_000) for one in (None, codes)]
    found = tv.evaluate.continuity(moved, rng(3), codes=codes @ MIX + 4, n_draws=20_000)
    for one in plain:  # the codes' own covariance is that of 500 draws
        assert abs(found.value - one.value) < 4 * np.hypot(found.error, one.error) + 0.02
    learnt = tv.distributions.LearntNormal().bound(mu=np.array([4.0, 4.0]), logvar=np.log([4.0, 9.0]))
    scaled = Model(lambda z: bent((z - 4) / [2.0, 3.0]), 2, prior=learnt)
    one = tv.evaluate.continuity(scaled, rng(2), n_draws=20_000)
    assert one == pytest.approx(plain[0], rel=1e-6)


def test_a_decoder_without_use_of_z_has_no_continuity():
    found = tv.evaluate.continuity(Model(lambda z: 0 * z), rng())
    assert np.isnan(found.value) and np.isnan(found.error)
    flat = np.column_stack([np.ones(9), np.arange(9.0)])  # a code that never changes
    assert np.isfinite(tv.evaluate.continuity(Model(lambda z: z, 2), rng(), codes=flat).value)


def test_completeness_is_a_ratio_of_squared_distances():
    x = np.zeros((1, 3))
    held_out = rng(1).standard_normal((400, 3))  # 3 off, squared
    for scale in (1.0, 2.0):
        found = tv.evaluate.completeness(Model(lambda z: scale * z, 3), x, held_out, rng(2), n_draws=3000)
        assert abs(found.value - scale**-2) < 4 * found.error < 0.4 / scale**2
    copies = tv.evaluate.completeness(Model(lambda z: 0 * z, 3), x, held_out, rng(2))
    assert copies.value == np.inf and np.isnan(copies.error)


def test_completeness_knows_its_error():
    model, x = Model(lambda z: 2 * z, 3), np.zeros((1, 3))
    found = [tv.evaluate.completeness(model, x, rng(i).standard_normal((300, 3)), rng(i + 999), n_draws=300)
             for i in range(200)]  # fmt: skip
    held = np.mean([abs(one.value - 0.25) < 1.96 * one.error for one in found])
    assert abs(held - 0.95) < 0.05


def test_a_vae_and_an_autoencoder_are_measured_alike(digits):
    vae, plain = tv.VAE(64, 2, (8,)), tv.Autoencoder(64, 2, (8,))
    np.testing.assert_array_equal(tv.evaluate.codes(vae, digits), vae.encode(digits).mean)
    np.testing.assert_allclose(tv.evaluate.codes(plain, digits), plain.encode(digits), rtol=1e-5, atol=1e-6)
    for model in (vae, plain):
        codes = tv.evaluate.codes(model, digits)
        assert 0 < tv.evaluate.continuity(model, rng(), codes, 200).value < 1.5
        assert 0 < tv.evaluate.completeness(model, digits, digits[:50] / 2, rng(), codes, 200).value < 2
    assert tv.evaluate.continuity(vae, rng(), n_draws=700) == tv.evaluate.continuity(vae, rng(), n_draws=700)


@pytest.fixture(scope="module")
def blobs():
    """Four classes on a plane in six pixels, and an autoencoder whose code is the plane."""
    plane, y = np.array([[3.0, 0], [0, 3], [-3, 0], [0, -3]]), np.arange(400) % 4
    x = np.hstack([plane[y] + rng(1).standard_normal((400, 2)), 4 * rng(2).standard_normal((400, 4))])
    model = tv.Autoencoder(6, 2, (), likelihood="gaussian", dtype="float64")
    model.encoder.params["W0"][:] = np.eye(6)[:, :2]
    return model, x[:200], y[:200], x[200:], y[200:]


def test_a_probe_finds_what_the_codes_tell(blobs):
    model, x, y, x_test, y_test = blobs
    found = tv.evaluate.probe(model, x, y, x_test, y_test, rng=rng(), n_repeats=10)
    # Classes 3 sqrt(2) apart: the nearest corner of the plane is right in Phi(3 / sqrt 2)^2 = 0.966 of all draws.
    assert abs(found.codes.value - 0.966) < 4 * found.codes.error < 0.08
    assert found.gain.value == pytest.approx(found.codes.value - found.pixels.value)
    assert found.gain.value > 3 * found.gain.error > 0  # four pixels of noise
    again = tv.evaluate.probe(model, x, y.astype(str), x_test, y_test.astype(str), rng=rng(), n_repeats=10)
    assert again == found  # a class is called what it likes


def test_a_probe_knows_its_error():
    # Two classes 2 apart on a line: other labelled rows, and other test rows, against the mean of many.
    model = tv.Autoencoder(1, 1, (), likelihood="gaussian", dtype="float64")
    model.encoder.params["W0"][:] = 1
    y, found = np.arange(120) % 2, []
    for i in range(60):
        noise, streams = rng(i).standard_normal((2, 120, 1)), rng(i + 999)
        x, x_test = 2 * y[:, None] + noise
        found.append(tv.evaluate.probe(model, x, y, x_test, y, 5, streams, 3).codes)
    values, errors = np.array(found).T
    # The spread of 60 values is known to 9%; the error's square counts what rows and repeats share twice.
    assert 0.75 * values.std(ddof=1) < np.sqrt((errors**2).mean()) < 1.6 * values.std(ddof=1)


def test_labels_without_meaning_tell_nothing(blobs):
    model, x, y, x_test, y_test = blobs
    y, y_test = rng(5).permutation(y), rng(6).permutation(y_test)
    found = tv.evaluate.probe(model, x, y, x_test, y_test, 5, rng(), 10)
    assert abs(found.codes.value - 0.25) < 4 * found.codes.error


def test_what_does_not_fit_is_refused(blobs):
    model, x, y, x_test, y_test = blobs
    e, latent = tv.evaluate, tv.VAE(6, 2, (), "tanh", "gaussian", "float64")
    no_prior = Model(lambda z: z, prior=SimpleNamespace(name="mine"))
    for call, message in (
        (lambda: e.continuity(model, rng()), "a tv.Autoencoder has no prior to draw from: give codes=tv.evaluate"),
        (lambda: e.continuity(no_prior, rng()), "'mine' has no quantile"),
        (lambda: e.continuity(latent, rng(), step=2), "step must be finite and greater than 0 and at most 1, got 2"),
        (lambda: e.continuity(latent, rng(), step=0), "step must be finite and greater than 0"),
        (lambda: e.continuity(latent, 3), "rng must be"),
        (lambda: e.continuity(latent, rng(), x), "codes must have shape"),
        (lambda: e.continuity(latent, rng(), x[:1, :2]), "codes must hold at least two rows"),
        (lambda: e.continuity(latent, rng(), n_draws=1), "n_draws must be at least 2"),
        (lambda: e.completeness(latent, x, x[:1], rng()), "x_test must hold at least two rows"),
        (lambda: e.completeness(latent, x, x[:, :3], rng()), "x_test must have shape"),
        (lambda: e.probe(model, x, y[:9], x_test, y_test, rng=rng()), "labels must have shape (200,)"),
        (lambda: e.probe(model, x, y / 2, x_test, y_test, rng=rng()), "labels must be whole numbers or words"),
        (lambda: e.probe(model, x, y, x_test, y_test + 1, rng=rng()), "labels_test has the class 4, which labels"),
        (lambda: e.probe(model, x, 0 * y, x_test, y_test, rng=rng()), "labels must be of two classes or more"),
        (
            lambda: e.probe(model, x, y, x_test, y_test, 51, rng()),
            "per_class must be at most 50, the rows of the smallest",
        ),
        (lambda: e.probe(model, x, y, x_test, y_test), "rng must be"),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        assert message in str(error.value)
