"""Hamiltonian Monte Carlo on densities whose moments are known: what its trajectories keep, and what its moves do."""

from math import gamma

import numpy as np
import pytest

from tinyvae.evaluate.hamiltonian import Place, leapfrog, move

PRECISION = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])


def bent(z):
    """log f = -1/2 z' A z - 1/4 sum z^4 and its slope: no two of its trajectories are alike."""
    slope = -z @ PRECISION - z**3
    return Place(z, (-0.5 * ((z @ PRECISION) * z).sum(axis=2) - 0.25 * (z**4).sum(axis=2),), (slope,))


def quartic(z):
    """f ~ exp(-z^4 / 4) in each latent."""
    return Place(z, (-0.25 * (z**4).sum(axis=2),), (-(z**3),))


def quartic_draws(rng, shape):
    return (4 * rng.gamma(0.25, size=shape)) ** 0.25 * rng.choice([-1, 1], shape)


SECOND = 2 * gamma(0.75) / gamma(0.25)  # E[z^2] under it; E[z^4] = 1


def start(n=50):
    rng = np.random.default_rng(0)
    return bent(rng.standard_normal((n, 4, 3))), rng.standard_normal((n, 4, 3))


def test_a_trajectory_comes_back_with_its_momentum_turned_round():
    place, momentum = start()
    step = np.full((50, 4, 3), [0.2, 0.1, 0.3])
    there, after = leapfrog(bent, place, momentum, (1.0,), step, 7)
    back, turned = leapfrog(bent, there, -after, (1.0,), step, 7)
    assert np.abs(there.z - place.z).max() > 1
    np.testing.assert_allclose(back.z, place.z, atol=1e-12)
    np.testing.assert_allclose(-turned, momentum, atol=1e-12)


def test_the_energy_is_kept_to_the_second_order_of_the_step():
    place, momentum = start(200)

    def error(n_steps):
        there, after = leapfrog(bent, place, momentum, (1.0,), np.full(place.z.shape, 0.6 / n_steps), n_steps)
        change = ((after**2).sum(axis=2) - (momentum**2).sum(axis=2)) / 2 - there.logs[0] + place.logs[0]
        return np.abs(change).mean()

    errors = [error(n) for n in (20, 40, 80)]
    assert errors[0] < 1e-2
    for coarse, fine in zip(errors, errors[1:]):
        assert coarse / fine == pytest.approx(4, rel=0.05)


def test_a_trajectory_keeps_volumes():
    (place, momentum), step = start(1), np.full((1, 4, 3), 0.3)

    def flow(state):
        there, after = leapfrog(bent, bent(state[:, :, :3]), state[:, :, 3:], (1.0,), step, 5)
        return np.concatenate([there.z, after], axis=2)

    state = np.concatenate([place.z, momentum], axis=2)
    columns = [(flow(state + h) - flow(state - h)) / 2e-5 for h in 1e-5 * np.eye(6)]
    np.testing.assert_allclose(np.linalg.det(np.stack(columns, axis=-1)), 1, atol=1e-7)


def deviations(z, wanted):
    """How far the means of z^2 and z^4 are from what is wanted, in standard errors."""
    found = [(z**2).ravel(), (z**4).ravel()]
    return np.array([(f.mean() - w) / (f.std() / np.sqrt(f.size)) for f, w in zip(found, wanted)])


@pytest.mark.parametrize("step", [0.5, 1.2, 1.6])
def test_a_move_leaves_the_density_as_it_is(step):
    # From exact draws, at steps whose energy error matters: of the last, a third of the moves is refused.
    rng = np.random.default_rng(1)
    place = quartic(quartic_draws(rng, (20_000, 1, 1)))
    for _ in range(4):
        place, probability = move(quartic, place, (1.0,), np.full((1, 1), step), 3, rng)
    assert probability.mean() < (0.99 if step < 1 else 0.9)
    # 6 comparisons in the three cases: beyond 4.2 by chance in 1 of 6,000
    assert np.all(np.abs(deviations(place.z, (SECOND, 1))) < 4.2)


def test_chains_find_the_density_from_elsewhere():
    rng = np.random.default_rng(2)
    place = quartic(np.full((10_000, 1, 1), 1.5))
    for _ in range(30):
        place, _ = move(quartic, place, (1.0,), np.full((1, 1), 0.9), 2, rng)
    assert np.all(np.abs(deviations(place.z, (SECOND, 1))) < 4.2)


def test_powers_mix_two_densities():
    # N(0, 1)^(1/4) N(3, 1/4)^(3/4) = N(36/13, 4/13): precisions 1/4 + 3.
    def look(z):
        return Place(z, (-0.5 * (z**2).sum(axis=2), -2 * ((z - 3) ** 2).sum(axis=2)), (-z, -4 * (z - 3)))

    rng = np.random.default_rng(3)
    place = look(np.zeros((10_000, 1, 1)))
    for _ in range(20):
        place, _ = move(look, place, (0.25, 0.75), np.full((1, 1), 0.5), 2, rng)
    variance = 1 / 3.25
    z = place.z.ravel()
    assert abs(z.mean() - 9 * variance) < 4.2 * np.sqrt(variance / z.size)
    assert abs(z.var() - variance) < 4.2 * variance * np.sqrt(2 / z.size)
    np.testing.assert_array_equal(place.logs[1], -2 * ((place.z - 3) ** 2).sum(axis=2))  # where it is, not where it was


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_runs_away_is_refused(dtype):
    def look(z):
        with np.errstate(all="ignore"):
            log, slope = -0.25 * (z**4).sum(axis=2).astype("float64"), -(z**3)
        log[np.abs(z[..., 0]) > 2] = np.nan
        return Place(z, (log,), (slope,))

    rng = np.random.default_rng(4)
    place = look(rng.uniform(-1.5, 1.5, (500, 2, 1)).astype(dtype))
    before = place.z
    place, probability = move(look, place, (1.0,), np.full((2, 1), 50.0), 12, rng)
    assert np.array_equal(place.z, before) and np.all(probability == 0)
    for _ in range(5):
        place, probability = move(look, place, (1.0,), np.full((2, 1), 1.0), 2, rng)
        assert np.abs(place.z).max() <= 2 and place.z.dtype == dtype
    assert probability.mean() > 0.5 and (place.z != before).mean() > 0.5
