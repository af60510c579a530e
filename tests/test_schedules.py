"""What changes in training, and what keeps it in bounds: schedules, weight decay, clipping, early stopping, a start."""

import functools

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import optim, schedules
from tinyvae.machine import files

ZEROS = np.zeros((2, 64))


def make(**options):
    return tv.VAE(64, 2, **{"hidden": (8,), "seed": 0, **options})


def numbers(rows):
    """Records or validations without the time that they took."""
    return [row._replace(seconds=0) for row in rows]


def fit(digits, vae=None, epochs=4, rows=90, **options):
    vae = vae or make()
    defaults = dict(validation=digits[400:430], batch_size=40, n_samples=2, seed=3, optimizer=tv.Adam(1e-2))
    return vae, tv.fit(vae, digits[:rows], epochs=epochs, **{**defaults, **options})


# --- schedules ----------------------------------------------------------------------------------------------


def test_their_values():
    assert [schedules.Constant(3)(t) for t in (1, 9)] == [3, 3]
    assert [schedules.Linear(0, 1, 4)(t) for t in (1, 2, 5, 9)] == [0, 0.25, 1, 1]
    assert [schedules.Steps(8, 0.5, 3)(t) for t in (1, 3, 4, 7)] == [8, 8, 4, 2]
    np.testing.assert_allclose([schedules.Cosine(2, 4, 1)(t) for t in (1, 3, 5, 9)], [2, 1.5, 1, 1])
    assert all(type(s(1)) is float for s in (schedules.Constant(3), schedules.Linear(0, 1, 4), schedules.Cosine(2, 4)))


def test_burda_s_stages_are_3_to_the_i_passes():
    schedule = schedules.Burda(1e-3, 2)  # two batches a pass
    rates = np.array([schedule(step) for step in range(1, 2 * 3280 + 10)])
    values, counts = np.unique(rates, return_counts=True)
    np.testing.assert_allclose(values[::-1], 1e-3 * 10.0 ** (-np.arange(8) / 7))
    assert counts[::-1][:7].tolist() == [2 * 3**i for i in range(7)] and counts[0] == 2 * 3**7 + 9
    assert (np.diff(rates) <= 0).all()


@pytest.mark.parametrize("make, error, message", [
    (lambda: schedules.Linear(0, 1, 0), ValueError, "n_steps must be at least 1, got 0"),
    (lambda: schedules.Cosine("x", 3), TypeError, "value must be a number, got 'x'"),
    (lambda: tv.Adam(schedules.Constant(-1)), ValueError, "rate at step 1 must be finite and at least 0, got -1"),
    (lambda: tv.Adam(schedules.Constant), TypeError, "rate must be a number or a function of the step, got the class"),
    (lambda: tv.Adam(weight_decay=-1), ValueError, "weight_decay must be finite and at least 0, got -1"),
    (lambda: tv.ELBO(lambda step: "x"), TypeError, "beta at step 1 must be a number, got 'x'"),
    (lambda: tv.ELBO("x"), TypeError, "beta must be a number, got 'x'"),
    (lambda: tv.ELBO(schedules.Constant(1)).analytic_kl, TypeError, r"beta is a function.*objective\.at\(step\)"),
    (lambda: tv.FreeBits(-1), ValueError, "free must be finite and at least 0, got -1"),
    (lambda: tv.train(make(), ZEROS, clip_norm=0), ValueError, "clip_norm must be .* greater than 0, got 0"),
    (lambda: tv.fit(make(), ZEROS, patience=3), ValueError, "patience waits for a better validation: give"),
    (lambda: tv.fit(make(), ZEROS, ZEROS, patience=0), ValueError, "patience must be at least 1"),
])  # fmt: skip
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("optimizer", [tv.SGD, tv.Adam])
def test_a_rate_is_asked_for_each_step_from_1(optimizer):
    rng, asked = np.random.default_rng(0), []
    scheduled, plain = optimizer(lambda step: asked.append(step) or 0.1 / step), optimizer()
    one, other = rng.normal(size=7), None
    other = one.copy()
    asked.clear()
    for step in range(1, 5):
        grad, plain.rate = rng.normal(size=7), 0.1 / step
        scheduled.step(one, grad)
        plain.step(other, grad)
    np.testing.assert_array_equal(one, other)
    assert asked == [1, 2, 3, 4]


def test_beta_is_asked_for_each_step_and_told_of():
    vae, seen = make(), []

    def spy(q, target, eps, objective, rng):
        seen.append(objective.beta)
        return tv.estimators.reparameterization(q, target, eps, objective, rng)

    objective = tv.ELBO(schedules.Linear(0, 1, 4))
    list(tv.train(vae, np.zeros((50, 64)), spy, objective, epochs=3, batch_size=25))
    assert seen == [0, 0.25, 0.5, 0.75, 1, 1]
    records = list(tv.train(make(), np.zeros((50, 64)), objective=objective, epochs=1, batch_size=25))
    assert records[0].loss == pytest.approx(records[0].reconstruction)
    assert records[1].loss == pytest.approx(records[1].reconstruction + 0.25 * records[1].kl)
    from tinyvae.training.history import summary

    assert summary(records, objective).endswith(", beta 0.25")


# --- weight decay and clipping ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weight_decay_is_apart_from_the_gradient(dtype):
    # Algorithm 2 of Loshchilov & Hutter 2019, written out.
    rng, adam = np.random.default_rng(0), tv.Adam(schedules.Linear(0.1, 0.3, 3), weight_decay=0.2)
    theta = rng.normal(size=9).astype(dtype)
    mine, m, v = theta.astype("float64"), 0, 0
    for t in range(1, 6):
        g = rng.normal(size=9).astype(dtype)
        adam.step(theta, g)
        m, v, rate = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.astype("float64") ** 2, schedules.Linear(0.1, 0.3, 3)(t)
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        mine = mine - rate * (m_hat / (np.sqrt(v_hat) + 1e-8) + 0.2 * mine)
    np.testing.assert_allclose(theta, mine, rtol=1e-12 if dtype == "float64" else 1e-4)
    assert "weight_decay=0.2" in repr(adam) and "weight_decay" not in repr(tv.Adam())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_gradient_is_shortened(dtype):
    grad = np.random.default_rng(0).normal(size=1000).astype(dtype)
    before, length = grad.copy(), float(np.linalg.norm(grad))
    assert optim.clip(grad, 2 * length) == pytest.approx(length, rel=1e-5)
    np.testing.assert_array_equal(grad, before)
    optim.clip(grad, 0.5)
    np.testing.assert_allclose(grad, before * (0.5 / length), rtol=1e-5)
    large = before * np.asarray(1e30, dtype)
    optim.clip(large, 0.5)  # whose squares overflow in float32
    np.testing.assert_allclose(large, grad, rtol=1e-4)
    with pytest.raises(ArithmeticError, match="the gradient's norm became nan"):
        optim.clip(before * np.nan, 1.0)


def test_training_clips_what_the_optimiser_gets(digits):
    class Noting(tv.SGD):
        norms = []

        def step(self, theta, grad):
            self.norms.append(float(np.linalg.norm(grad)))
            super().step(theta, grad)

    fit(digits, optimizer=Noting(1e-3), epochs=1)
    free, norm = list(Noting.norms), 0.8 * min(Noting.norms)
    Noting.norms.clear()
    fit(digits, optimizer=Noting(1e-3), epochs=1, clip_norm=norm)
    assert min(free) > norm
    np.testing.assert_allclose(Noting.norms, norm, rtol=1e-5)


# --- a run in two parts ---------------------------------------------------------------------------------------

RUNS = {
    "cosine, weight decay": lambda: dict(optimizer=tv.Adam(schedules.Cosine(1e-2, 12), weight_decay=0.1)),
    "sgd": lambda: dict(optimizer=tv.SGD(schedules.Steps(1e-2, 0.5, 4), 0.9)),
    "sgd without momentum": lambda: dict(optimizer=tv.SGD(schedules.Linear(1e-2, 1e-3, 9))),
    "burda": lambda: dict(optimizer=tv.Adam(schedules.Burda(1e-2, 3))),
    "a function of one's own": lambda: dict(optimizer=tv.Adam(lambda step: 1e-2 / step)),
    "annealing": lambda: dict(objective=tv.ELBO(schedules.Linear(0, 1, 8), "monte_carlo")),
    "free bits, clipping": lambda: dict(objective=tv.FreeBits(0.3), clip_norm=5.0),
    "full, learnt prior": lambda: dict(vae=make(latents="full_gaussian", prior="learnt_normal"), clip_norm=2.0),
    "patience": lambda: dict(patience=3, optimizer=tv.Adam(3e-2)),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_in_two_parts_is_a_run_in_one(name, digits, tmp_path):
    path = tmp_path / "run.npz"
    whole, history = fit(digits, **RUNS[name]())
    fit(digits, epochs=2, checkpoint=path, **RUNS[name]())
    options = RUNS[name]()
    options["vae"] = options.pop("vae", make())
    options["vae"].theta *= 0.5  # as a run that went on would have left it
    again, later = fit(digits, checkpoint=path, **options)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert numbers(later.records) == numbers(history.records) and len(later.records) == 12
    assert numbers(later.validation) == numbers(history.validation)


def halved(step, value=1e-2):
    return value / step


OTHER = [
    ("cosine, weight decay", dict(optimizer=tv.Adam(schedules.Cosine(1e-2, 13), weight_decay=0.1)),
     r"optimizer is Adam\(rate=Cosine\(value=0.01, n_steps=12, last=0.0\).* there and Adam\(rate=Cosine\(.*n_steps=13"),
    ("cosine, weight decay", dict(optimizer=tv.Adam(schedules.Cosine(1e-2, 12))), "weight_decay=0.1.* there and"),
    ("a function of one's own", dict(optimizer=tv.Adam(lambda step: 2e-2 / step)), "optimizer is .*<lambda>"),
    ("annealing", dict(objective=tv.ELBO(schedules.Linear(0, 1, 9), "monte_carlo")), "objective is .*n_steps=8"),
    ("free bits, clipping", dict(objective=tv.FreeBits(0.2), clip_norm=5.0), r"is FreeBits\(free=0.3\) there"),
    ("free bits, clipping", dict(objective=tv.FreeBits(0.3), clip_norm=4.0), "clip_norm is 5.0 there and 4.0 here"),
    ("free bits, clipping", dict(objective=tv.FreeBits(0.3)), "clip_norm is 5.0 there and none here"),
    ("full, learnt prior", dict(vae=make(latents="full_gaussian"), clip_norm=2.0), r"prior is LearntNormal\(\) there"),
    ("full, learnt prior", dict(vae=make(prior="learnt_normal"), clip_norm=2.0), "latents is FullGaussian there"),
    ("patience", dict(patience=4, optimizer=tv.Adam(3e-2)), "patience is 3 there and 4 here"),
]  # fmt: skip


@pytest.mark.parametrize("name, options, message", OTHER)
def test_a_file_of_another_run_is_refused(name, options, message, digits, tmp_path):
    fit(digits, epochs=1, checkpoint=tmp_path / "run.npz", **RUNS[name]())
    with pytest.raises(ValueError, match=f"belongs to another run: .*{message}"):
        fit(digits, checkpoint=tmp_path / "run.npz", **options)


def test_a_schedule_that_closes_over_another_number_is_told_apart(digits, tmp_path):
    def options(value):
        return dict(optimizer=tv.Adam(functools.partial(halved, value=value)))

    fit(digits, epochs=1, checkpoint=tmp_path / "run.npz", **options(1e-2))
    whole, _ = fit(digits, **options(1e-2))
    np.testing.assert_array_equal(fit(digits, checkpoint=tmp_path / "run.npz", **options(1e-2))[0].theta, whole.theta)
    with pytest.raises(ValueError, match="belongs to another run: optimizer is"):
        fit(digits, checkpoint=tmp_path / "run.npz", **options(2e-2))


# --- early stopping -------------------------------------------------------------------------------------------


def overfit(digits, **options):
    """A run that gets worse on other digits after some epochs."""
    vae = make(hidden=(32,))
    return fit(digits, vae, **{"epochs": 40, "rows": 40, "optimizer": tv.Adam(3e-2), **options})


def test_early_stopping_keeps_the_best_epoch_s_parameters(digits, tmp_path, capsys):
    seen = []
    vae, history = overfit(digits, patience=3, after_epoch=lambda epoch: seen.append(epoch))
    losses = [row.loss for row in history.validation]
    best = int(np.argmin(losses))
    assert history.stopped and history.best is history.validation[best] and len(losses) == best + 4 == len(seen) < 40
    assert tv.evaluate.bound(vae, digits[400:430]).loss == losses[best]
    assert f"No better validation for 3 epochs: the parameters of epoch {best + 1} are kept" in capsys.readouterr().err
    plain, long = overfit(digits, epochs=best + 1)
    np.testing.assert_array_equal(vae.theta, plain.theta)
    assert not long.stopped
    # From a checkpoint, before its end and after it.
    path = tmp_path / "run.npz"
    overfit(digits, patience=3, epochs=best + 2, checkpoint=path)
    for _ in range(2):
        again, later = overfit(digits, patience=3, checkpoint=path)
        np.testing.assert_array_equal(again.theta, vae.theta)
        assert numbers(later.validation) == numbers(history.validation) and later.stopped
    arrays = files.read_npz(path)
    arrays["best.theta"] = 2 * arrays["best.theta"]
    files.write_npz(path, arrays)
    with pytest.raises(ValueError, match="the best's theta is .* as it was saved and"):
        overfit(digits, patience=3, checkpoint=path)


def test_a_run_that_ctrl_c_ends_has_the_best_parameters_so_far(digits):
    def interrupt(epoch):
        if epoch == 2:
            raise KeyboardInterrupt

    vae, history = fit(digits, patience=3, after_epoch=interrupt)
    assert history.interrupted and not history.stopped and history.best.epoch == 2
    np.testing.assert_array_equal(vae.theta, fit(digits, epochs=2)[0].theta)


# --- where the decoder starts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [tv.VAE, tv.Autoencoder])
def test_the_decoder_starts_at_the_mean_of_the_data(model, digits):
    vae = model(64, 2, (8,))
    before = vae.theta.copy()
    vae.start_at(digits)
    wanted = np.clip(digits.mean(axis=0), 0.001, 0.999)
    np.testing.assert_allclose(vae.decode(np.zeros((1, 2), "float32")).mean[0], wanted, rtol=1e-5)
    changed = vae.theta != before
    assert changed.sum() == 64 and vae.params["decoder.b1"].all()
    assert vae.held_out(digits).loss < model(64, 2, (8,)).held_out(digits).loss - 5


@pytest.mark.parametrize("likelihood", [
    "bernoulli", "continuous_bernoulli", "squared_error", tv.likelihoods.Categorical(17),
    *(tv.likelihoods.Gaussian(v, m) for v in ("shared", "isotropic", "per_pixel", 0.1) for m in ("linear", "sigmoid")),
], ids=repr)  # fmt: skip
def test_each_likelihood_starts_there(likelihood, digits):
    assert all(hasattr(one, "start") for one in tv.likelihoods.LIKELIHOODS.values())
    model = tv.Autoencoder(64, 2, (8,), likelihood=likelihood)
    before = model.held_out(digits).loss
    model.start_at(digits)
    # Clipped, and the categorical's 500 counts of 17 levels each one higher.
    near = 0.011 if model.likelihood.name in ("continuous_bernoulli", "categorical") else 0.0011
    near = 0.5 * 17 / 517 if model.likelihood.name == "categorical" else near
    np.testing.assert_allclose(model.decode(np.zeros((1, 2), "float32")).mean[0], digits.mean(axis=0), atol=near)
    assert model.held_out(digits).loss < before


def test_a_likelihood_that_does_not_tell_its_start_is_named():
    vae = make()
    vae.likelihood = type("Other", (), {"name": "other"})()
    with pytest.raises(TypeError, match="the likelihood 'other' has no `start"):
        vae.start_at(np.zeros((2, 64)))
