"""Priors over codes: normalised, autoregressive and nothing else, with the right gradient and draws."""

import itertools

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.models import AutoregressivePrior, PositionPrior


def all_codes(n_positions, n_codes):
    return np.array(list(itertools.product(range(n_codes), repeat=n_positions)))


def spread(n_positions=3, n_codes=4, hidden=(7, 5), **options):
    """An autoregressive prior in float64 whose weights are far from 0."""
    prior = AutoregressivePrior(n_positions, n_codes, hidden, **{"dtype": "float64", **options})
    prior.theta = np.random.default_rng(2).standard_normal(prior.theta.shape)
    return prior


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5), (1,)])
@pytest.mark.parametrize("n_positions, n_codes", [(1, 3), (2, 5), (4, 3), (3, 1)])
def test_its_probabilities_add_up_to_one(n_positions, n_codes, hidden):
    codes = all_codes(n_positions, n_codes)
    for prior in (spread(n_positions, n_codes, hidden), PositionPrior(n_positions, n_codes, codes[: len(codes) // 2])):
        assert np.exp(prior.log_prob(codes)).sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("hidden", [(), (40,), (40, 40)])
def test_an_output_sees_what_stands_before_it_and_nothing_else(hidden):
    """With units enough for all positions, each output depends on every code before it, and on no other."""
    prior = spread(5, 3, hidden, activation="tanh")
    prior.theta = prior.theta * 0.3
    codes = np.array([[0, 1, 2, 0, 1]])

    def logits(codes):
        one_hot = (codes[:, :, None] == np.arange(3)).astype("float64").reshape(1, -1)
        return prior.net.forward(one_hot)[0].reshape(5, 3)

    for i in range(5):
        other = codes.copy()
        other[0, i] = (codes[0, i] + 1) % 3
        changed = np.abs(logits(other) - logits(codes)).max(axis=1) > 0
        np.testing.assert_array_equal(changed, np.arange(5) > i)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_its_gradient_is_the_slope_of_its_loss(hidden, numeric_gradient):
    prior = spread(hidden=hidden, activation="tanh")
    codes = np.random.default_rng(0).integers(0, 4, (6, 3))
    grads = np.empty_like(prior.theta)
    loss = prior.step(prior.check_data(codes), grads).loss
    assert loss == pytest.approx(-prior.log_prob(codes).mean(), rel=1e-12)
    assert prior.held_out(codes) == (pytest.approx(loss), pytest.approx(loss), 0)
    numeric = numeric_gradient(lambda: -prior.log_prob(codes).mean(), prior.theta) * prior.mask
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())


@pytest.mark.parametrize("kind", ["per_position", "autoregressive"])
def test_draws_have_its_probabilities(kind):
    codes = all_codes(3, 3)
    prior = spread(3, 3) if kind == "autoregressive" else PositionPrior(3, 3, codes[[0, 0, 4, 11, 25, 25, 25]])
    n, p = 20_000, np.exp(prior.log_prob(codes))
    draws = prior.sample(n, np.random.default_rng(1))
    assert draws.shape == (n, 3) and draws.dtype.kind == "i"
    found = np.bincount(draws @ (9, 3, 1), minlength=27) / n
    error = np.sqrt(p * (1 - p) / n) + 1e-4
    assert (np.abs(found - p) < 4.5 * error).all()


def test_counts_become_probabilities_with_one_observation_shared():
    prior = PositionPrior(2, 4, np.array([[0, 1], [0, 2], [3, 2]]))
    p = np.exp(prior.theta).reshape(2, 4)
    np.testing.assert_allclose(p, [[2.25 / 4, 0.25 / 4, 0.25 / 4, 1.25 / 4], [0.25 / 4, 1.25 / 4, 2.25 / 4, 0.25 / 4]])
    np.testing.assert_allclose(PositionPrior(2, 4).log_prob(np.zeros((1, 2), int)), -2 * np.log(4))


def test_it_learns_what_positions_have_to_do_with_each_other(tmp_path):
    """Two fair bits and their sum: log 4 nats a row, which a prior of each position takes for log 8."""
    bits = np.random.default_rng(0).integers(0, 2, (600, 2))
    codes = np.column_stack([bits, bits.sum(axis=1) % 2])

    def run(epochs, **options):
        prior = AutoregressivePrior(3, 2, (16,))
        history = tv.fit(prior, codes, codes[:100], epochs, optimizer=tv.Adam(3e-2), seed=1, **options)
        return prior, history

    prior, history = run(25)
    assert prior.held_out(codes).loss < np.log(4) + 0.05 < -PositionPrior(3, 2, codes).log_prob(codes).mean() - 0.5
    assert not prior.theta[prior.mask == 0].any() and history.loss[-1] < history.loss[0]
    run(10, checkpoint=tmp_path / "run.npz")
    np.testing.assert_array_equal(run(25, checkpoint=tmp_path / "run.npz")[0].theta, prior.theta)
    with pytest.raises(ValueError, match="AutoregressivePrior draws no latents: leave out n_samples"):
        tv.train(prior, codes, n_samples=2)


@pytest.mark.parametrize("arguments, message", [
    ((0, 4), "n_positions must be at least 1, got 0"),
    ((3, 0), "n_codes must be at least 1, got 0"),
    ((3, 4, 8), r"hidden must be a tuple of integers such as \(200,\), got 8"),
    ((3, 4, (8,), "step"), "activation must be one of .*got 'step'"),
])  # fmt: skip
def test_bad_sizes_and_names_are_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        AutoregressivePrior(*arguments)


def test_data_that_are_no_codes_are_named():
    prior = AutoregressivePrior(3, 4)
    with pytest.raises(ValueError, match="x must be whole numbers from 0 to 3, got 4"):
        tv.train(prior, np.full((5, 3), 4))
    with pytest.raises(ValueError, match="validation must be whole numbers from 0 to 3, got 0.5"):
        tv.fit(prior, np.zeros((5, 3), int), np.full((5, 3), 0.5))
    with pytest.raises(ValueError, match=r"x must hold at least one row, got shape \(0, 3\)"):
        tv.train(prior, np.zeros((0, 3), int))
    with pytest.raises(ValueError, match="codes must be whole numbers from 0 to 3, got 9"):
        PositionPrior(3, 4, np.full((5, 3), 9))


def test_it_may_start_near_what_each_position_shows_by_itself():
    codes = np.random.default_rng(0).choice(4, (300, 2), p=[0.85, 0.05, 0.05, 0.05])
    prior, apart = AutoregressivePrior(2, 4, (16,)), -PositionPrior(2, 4, codes).log_prob(codes).mean()
    before = prior.held_out(codes).loss
    prior.start_at(codes)
    assert prior.held_out(codes).loss < apart + 0.4 * (before - apart)
    linear = AutoregressivePrior(2, 4, ())
    linear.theta = np.zeros_like(linear.theta)
    linear.start_at(codes)
    assert linear.held_out(codes).loss == pytest.approx(apart, rel=1e-5)
