"""Walks through the latent space, and nearest neighbours."""

import numpy as np
import pytest
import scipy.stats

import tinyvae as tv


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_manifold_holds_equal_parts_of_the_prior(dtype):
    z = tv.evaluate.manifold(tv.VAE(4, 3, (), dtype=dtype), 5, (2, 0)).reshape(5, 5, 3)
    assert z.dtype == dtype
    parts = scipy.stats.norm.cdf(z)
    np.testing.assert_allclose(parts[..., 2], np.tile([0.1, 0.3, 0.5, 0.7, 0.9], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(parts[..., 0], np.tile([0.1, 0.3, 0.5, 0.7, 0.9][::-1], (5, 1)).T, atol=1e-6)  # up
    np.testing.assert_allclose(z[..., 1], 0, atol=1e-7)


def test_a_line_runs_from_its_start_to_its_end():
    start, end = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 2.0], [1.0, -1.0]])
    z = tv.evaluate.interpolate(start, end, 3)
    np.testing.assert_array_equal(z, [[0, 0], [0.5, 1], [1, 2], [1, 1], [1, 0], [1, -1]])


def test_a_traversal_moves_one_latent_at_a_time():
    vae, centre = tv.VAE(4, 3, (), dtype="float64"), np.array([5.0, 6.0, 7.0])
    z = tv.evaluate.traverse(vae, 5, centre).reshape(3, 5, 3)
    for k in range(3):
        others = [j for j in range(3) if j != k]
        np.testing.assert_array_equal(z[k][:, others], np.tile(centre[others], (5, 1)))
        np.testing.assert_allclose(scipy.stats.norm.cdf(z[k, [0, -1], k]), [0.025, 0.975])
        assert np.allclose(np.diff(z[k, :, k], 2), 0)
    np.testing.assert_allclose(tv.evaluate.traverse(vae, 3).reshape(3, 3, 3)[:, 1], 0, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_neighbours_are_those_of_a_plain_search(dtype):
    rng = np.random.default_rng(0)
    scale = 255 if dtype == "uint8" else 1
    x, among = ((scale * rng.random((n, 6))).astype(dtype) for n in (7, 2300))  # three blocks
    rows, distances = tv.evaluate.nearest(x, among, 4)
    plain = np.sqrt(((x[:, None].astype(float) - among.astype(float)) ** 2).sum(axis=2))
    np.testing.assert_array_equal(rows, np.argsort(plain, axis=1, kind="stable")[:, :4])
    np.testing.assert_allclose(distances, np.sort(plain, axis=1)[:, :4])


def test_a_copy_lies_at_distance_0(digits):
    rows, distances = tv.evaluate.nearest(digits[[7, 3]], digits)
    assert rows.tolist() == [[7], [3]] and distances.max() == 0


class NoQuantile(tv.distributions.StandardNormal):
    name, quantile = "no quantile", property()


def test_what_does_not_fit_is_refused():
    vae, z = tv.VAE(4, 3, ()), np.zeros((2, 3))
    for call, message in (
        (lambda: tv.evaluate.manifold(tv.VAE(4, 1, ()), 3), "a plane of two latents, and the model has 1"),
        (lambda: tv.evaluate.manifold(vae, 3, (0, 3)), r"latents must be two of 0 to 2, got \(0, 3\)"),
        (lambda: tv.evaluate.manifold(vae, 3, (1, 1)), "latents must be two of 0 to 2"),
        (lambda: tv.evaluate.manifold(vae, 0), "n_side must be at least 1"),
        (lambda: tv.evaluate.interpolate(z, z[:1], 3), "end must have shape"),
        (lambda: tv.evaluate.interpolate(z, z, 1), "n_steps must be at least 2"),
        (lambda: tv.evaluate.traverse(vae, 3, np.zeros(2, "float32")), "z must have shape"),
        (lambda: tv.evaluate.nearest(z, z[:, :2]), "among must have shape"),
        (lambda: tv.evaluate.nearest(z, z, 3), "n must be at most 2, the rows of among, got 3"),
        (lambda: tv.evaluate.nearest(z * np.nan, z), "x must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"the prior 'no quantile' has no quantile\(u\)"):
        tv.evaluate.traverse(tv.VAE(4, 3, (), prior=NoQuantile()), 3)


def test_means_and_drawn_images_are_told_apart():
    vae = tv.VAE(64, 2, (8,), seed=0)
    says = vae.decode(tv.evaluate.manifold(vae, 3))
    mean, drawn = says.mean, says.sample(np.random.default_rng(0))
    assert np.all((mean > 0) & (mean < 1)) and set(np.unique(drawn)) == {0, 1}
