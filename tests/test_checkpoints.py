"""A run that was stopped and taken up again ends with the bits of one that never stopped."""

import os

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.machine import files
from tinyvae.training import checkpoints


def make(**options):
    return tv.VAE(64, 2, **{"hidden": (8,), "seed": 0, **options})


def numbers(rows):
    """Records or validations without the time that they took."""
    return [row._replace(seconds=0) for row in rows]


def fit(digits, vae=None, epochs=4, rows=90, **options):
    vae = vae or make()
    defaults = dict(validation=digits[400:430], batch_size=40, n_samples=2, seed=3, optimizer=tv.Adam(1e-2))
    return vae, tv.fit(vae, digits[:rows], epochs=epochs, **{**defaults, **options})


def interrupted_after(steps, estimator):
    """`estimator`, but Ctrl-C comes in the call after so many steps."""
    estimator = tv.estimators.resolve(estimator)
    call, calls = type(estimator).__call__, []

    class Interrupted(type(estimator)):
        def __call__(self, *arguments):
            calls.append(None)
            if len(calls) > steps:
                raise KeyboardInterrupt
            return call(self, *arguments)

    estimator.__class__ = Interrupted
    return estimator


@pytest.mark.parametrize("optimizer", [lambda: tv.Adam(1e-2), lambda: tv.SGD(1e-2, 0.9)], ids=["adam", "sgd"])
@pytest.mark.parametrize(
    "estimator", ["reparameterization", "leave_one_out", "measure_valued", "moving_average", "input_dependent", "relax"]
)
def test_a_run_in_two_parts_is_a_run_in_one(estimator, optimizer, digits, tmp_path):
    path = tmp_path / "run.npz"
    whole, history = fit(digits, estimator=estimator, optimizer=optimizer())
    fit(digits, epochs=2, estimator=estimator, optimizer=optimizer(), checkpoint=path)
    learner = tv.estimators.make(estimator)
    again, later = fit(digits, make(seed=9), estimator=learner, optimizer=optimizer(), checkpoint=path)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert numbers(later.records) == numbers(history.records) and len(later.records) == 12
    assert numbers(later.validation) == numbers(history.validation) and len(later.validation) == 4
    assert (np.diff(later.seconds) > 0).all() and all(
        type(r.step) is int and type(r.epoch) is int for r in later.records
    )
    if hasattr(learner, "update"):
        unbroken = tv.estimators.make(estimator)
        fit(digits, estimator=unbroken, optimizer=optimizer())
        assert learner.state().keys() == unbroken.state().keys() != set()
        for name, array in unbroken.state().items():
            np.testing.assert_array_equal(learner.state()[name], array)


@pytest.mark.parametrize("steps", [1, 4, 6, 10])
def test_a_run_stopped_within_an_epoch_goes_on_from_its_start(steps, digits, tmp_path):
    path = tmp_path / "run.npz"
    whole, history = fit(digits, estimator="input_dependent")
    stopped = interrupted_after(steps, "input_dependent")
    _, part = fit(digits, estimator=stopped, checkpoint=path)
    assert part.interrupted and len(part.records) == steps
    assert path.exists() == (steps >= 3) and os.listdir(tmp_path) == ["run.npz"] * path.exists()
    again, later = fit(digits, estimator="input_dependent", checkpoint=path)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert numbers(later.records) == numbers(history.records) and not later.interrupted


@pytest.mark.parametrize(
    "noise, objective, estimator",
    [("sobol", tv.ELBO(2.0, "monte_carlo"), "path_derivative"), ("independent", tv.ImportanceWeighted(), "dreg")],
)
def test_noise_and_objective_are_taken_up_too(noise, objective, estimator, digits, tmp_path):
    options = dict(noise=noise, objective=objective, estimator=estimator)
    whole, _ = fit(digits, **options)
    fit(digits, epochs=1, checkpoint=tmp_path / "run.npz", **options)
    again, _ = fit(digits, checkpoint=tmp_path / "run.npz", **options)
    np.testing.assert_array_equal(again.theta, whole.theta)


def test_a_finished_run_is_read_back_and_more_epochs_may_follow(digits, tmp_path):
    path = tmp_path / "run.npz"
    whole, history = fit(digits, checkpoint=path)
    before = path.read_bytes()
    again, later = fit(digits, make(seed=5), checkpoint=path)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert later.records == history.records and path.read_bytes() == before
    longer, _ = fit(digits, epochs=6, checkpoint=path)
    unbroken, _ = fit(digits, epochs=6)
    np.testing.assert_array_equal(longer.theta, unbroken.theta)
    with pytest.raises(ValueError, match="holds 6 epochs, more than the 4 asked for"):
        fit(digits, checkpoint=path)


def test_a_checkpoint_is_a_model_file_too(digits, tmp_path):
    vae, _ = fit(digits, checkpoint=tmp_path / "run.npz")
    loaded = tv.VAE.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(loaded.theta, vae.theta)
    assert loaded.config == vae.config


def test_a_checkpoint_does_not_change_the_run(digits, tmp_path):
    one, two = fit(digits)[0], fit(digits, checkpoint=tmp_path / "run.npz")[0]
    np.testing.assert_array_equal(one.theta, two.theta)


# --- another run's file -----------------------------------------------------------------------------------

OTHER = [
    (dict(seed=4), "seed is 3 there and 4 here"),
    (dict(n_samples=4), "n_samples is 2 there and 4 here"),
    (dict(batch_size=30), "batch_size is 40 there and 30 here"),
    (dict(noise="antithetic"), "noise is independent there and antithetic here"),
    (dict(estimator="score_function"), "estimator is reparameterization there and score_function here"),
    (dict(estimator="moving_average"), r"estimator is reparameterization there and MovingAverage\(decay=0.9\) here"),
    (
        dict(objective=tv.ELBO(2.0)),
        r"objective is ELBO\(beta=1.0, kl='analytic'\) there and ELBO\(beta=2.0, kl='analytic'\) here",
    ),
    (dict(optimizer=tv.Adam(3e-3)), r"optimizer is Adam\(rate=0.01, .*\) there and Adam\(rate=0.003, .*\) here"),
    (dict(optimizer=tv.SGD(1e-2)), r"optimizer is Adam\(.*\) there and SGD\(rate=0.01, momentum=0.0\) here"),
    (dict(rows=91), r"x is float32 \(90, 64\) with digest \w{12} there and float32 \(91, 64\) with digest"),
    (dict(validation=None), r"validation is float32 \(30, 64\) with digest \w{12} there and none here"),
    (dict(vae=make(hidden=(9,))), r"hidden is \(8,\) there and \(9,\) here"),
    (dict(vae=make(dtype="float64")), "dtype is 'float32' there and 'float64' here"),
    (dict(vae=make(activation="relu")), "activation is 'tanh' there and 'relu' here"),
]


@pytest.mark.parametrize("options, message", OTHER)
def test_a_file_of_another_run_is_refused_and_says_what_differs(options, message, digits, tmp_path):
    path = tmp_path / "run.npz"
    fit(digits, epochs=1, checkpoint=path)
    before, vae = path.read_bytes(), options.pop("vae", make())
    theta = vae.theta.copy()
    with pytest.raises(ValueError, match=f"run.npz belongs to another run: {message}"):
        fit(digits, vae, checkpoint=path, **options)
    assert path.read_bytes() == before
    np.testing.assert_array_equal(vae.theta, theta)


def test_other_data_of_the_same_shape_are_noticed(digits, tmp_path):
    fit(digits, epochs=1, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="x is float32 .* there and float32"):
        fit(1 - digits, validation=digits[400:430], checkpoint=tmp_path / "run.npz")


def test_a_damaged_file_or_a_plain_model_is_refused(digits, tmp_path):
    path = tmp_path / "run.npz"
    fit(digits, epochs=1, checkpoint=path)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"hello"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="run.npz is damaged or is not a checkpoint of a training run"):
            fit(digits, checkpoint=path)
    make().save(path)
    with pytest.raises(ValueError, match="is damaged or is not a checkpoint of a training run: .*settings"):
        fit(digits, checkpoint=path)


def test_what_cannot_be_saved_is_refused_at_the_start(digits, tmp_path):
    class Plain:
        def step(self, theta, grad):
            theta -= 0.01 * grad

    class Learner:
        def __call__(self, q, target, eps, objective, rng):
            return tv.estimators.reparameterization(q, target, eps, objective)

        def update(self):
            pass

    for options, name in ((dict(optimizer=Plain()), "optimizer"), (dict(estimator=Learner()), "estimator")):
        fit(digits, epochs=1, **options)
        with pytest.raises(TypeError, match=rf"a checkpoint needs an {name} with state\(\) and restore\(state\)"):
            fit(digits, checkpoint=tmp_path / "run.npz", **options)


def test_an_estimator_whose_own_network_diverges_names_the_step(digits):
    class Diverging(type(tv.estimators.make("moving_average"))):
        def update(self):
            raise ArithmeticError("the network became non-finite")

    with pytest.raises(tv.NonFiniteLoss, match="step 1: the network became non-finite; try a smaller learning rate"):
        fit(digits, estimator=Diverging())


# --- files ------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_fails_leaves_the_old_one_and_nothing_else(digits, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    fit(digits, epochs=1, checkpoint=path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        fit(digits, checkpoint=path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["run.npz"]


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"a.b": np.arange(3, dtype="float32"), "words": "{}", "number": np.array(2)}
    files.write_npz(tmp_path / "x.npz", arrays)
    back = files.read_npz(tmp_path / "x.npz")
    assert back.keys() == arrays.keys() and str(back["words"]) == "{}" and back["number"] == 2
    np.testing.assert_array_equal(back["a.b"], arrays["a.b"])
    files.write(tmp_path / "x.npz", b"other")
    assert (tmp_path / "x.npz").read_bytes() == b"other" and os.listdir(tmp_path) == ["x.npz"]


def test_no_file_is_an_empty_history(digits, tmp_path):
    from tinyvae.training import Plan

    assert checkpoints.resume(tmp_path / "none.npz", Plan(make(), digits), None).records == []
