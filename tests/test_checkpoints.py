"""A run that was stopped and taken up again ends with the bits of one that never stopped."""

import copy
import os
import threading
import weakref
from functools import partial

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.machine import files
from tinyvae.training import checkpoints


def make(**options):
    return tv.VAE(64, 2, **{"hidden": (8,), "seed": 0, **options})


def elsewhere():
    """The same model with other weights, as a run that went on would have left it."""
    vae = make()
    vae.theta *= 0.5
    return vae


def numbers(rows):
    """Records or validations without the time that they took."""
    return [row._replace(seconds=0) for row in rows]


def fit(digits, vae=None, epochs=4, rows=90, **options):
    vae = vae or make()
    defaults = dict(validation=digits[400:430], batch_size=40, n_samples=2, seed=3, optimizer=tv.Adam(1e-2))
    return vae, tv.fit(vae, digits[:rows], epochs=epochs, **{**defaults, **options})


def interrupt_after(steps, patch):
    """Ctrl-C comes in the call of the input-dependent baseline after so many."""
    kind, calls = type(tv.estimators.make("input_dependent")), []
    call = kind.__call__

    def interrupted(self, *arguments):
        calls.append(None)
        if len(calls) > steps:
            raise KeyboardInterrupt
        return call(self, *arguments)

    patch.setattr(kind, "__call__", interrupted)


@pytest.mark.parametrize("optimizer", [lambda: tv.Adam(1e-2), lambda: tv.SGD(1e-2, 0.9)], ids=["adam", "sgd"])
@pytest.mark.parametrize(
    "estimator", ["reparameterization", "leave_one_out", "measure_valued", "moving_average", "input_dependent", "relax"]
)
def test_a_run_in_two_parts_is_a_run_in_one(estimator, optimizer, digits, tmp_path):
    path = tmp_path / "run.npz"
    whole, history = fit(digits, estimator=estimator, optimizer=optimizer())
    fit(digits, epochs=2, estimator=estimator, optimizer=optimizer(), checkpoint=path)
    learner = tv.estimators.make(estimator)
    again, later = fit(digits, elsewhere(), estimator=learner, optimizer=optimizer(), checkpoint=path)
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
def test_a_run_stopped_within_an_epoch_goes_on_from_its_start(steps, digits, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    whole, history = fit(digits, estimator="input_dependent")
    with monkeypatch.context() as patch:
        interrupt_after(steps, patch)
        _, part = fit(digits, estimator="input_dependent", checkpoint=path)
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
    again, later = fit(digits, elsewhere(), checkpoint=path)
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
    (dict(vae=make(seed=1)), "the model's seed is 0 there and 1 here"),
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


def scaled(factor):
    def mine(q, target, eps, objective=None, rng=None):
        return tv.estimators.reparameterization(q, target, eps, objective)._replace(f=factor * target(q.sample(eps)))

    return mine


def optioned(q, target, eps, objective=None, rng=None, option=None):
    return tv.estimators.reparameterization(q, target, eps, objective)


class Sub(type(tv.estimators.make("moving_average"))):
    """Another estimator with its parent's repr."""


class Held:
    def __init__(self, value):
        self.value = value

    def __call__(self, q, target, eps, objective=None, rng=None):
        return tv.estimators.reparameterization(q, target, eps, objective)


class Told(Held):
    def __repr__(self):
        return f"Told({self.value})"


ALIKE = [
    (partial(optioned, option=1), partial(optioned, option=2), r"partial\(optioned, option=1\) there and partial"),
    (scaled(1.0), scaled(2.0), r"mine\(factor=1.0\) there and .*mine\(factor=2.0\) here"),
    (partial(scaled(1.0)), partial(scaled(2.0)), r"factor=1.0.* there and .*factor=2.0.* here"),
    (tv.estimators.make("moving_average"), Sub(), r"MovingAverage.* there and Sub: MovingAverage\(decay=0.9\) here"),
    (Told(1), Told(2), r"Told\(1\) there and Told\(2\) here"),
    (Held(1), Held(2), r"Held\(value=1\) there and Held\(value=2\) here"),
    (Told(1).__call__, Told(2).__call__, r"Told\(1\).__call__ there and Told\(2\).__call__ here"),
]


@pytest.mark.parametrize("one, other, message", ALIKE)
def test_settings_that_look_alike_are_told_apart(one, other, message, digits, tmp_path):
    path = tmp_path / "run.npz"
    fit(digits, epochs=1, estimator=one, checkpoint=path)
    with pytest.raises(ValueError, match=f"belongs to another run: estimator is .*{message}"):
        fit(digits, estimator=other, checkpoint=path)
    if not hasattr(one, "update"):  # and the same one goes on
        assert len(fit(digits, epochs=2, estimator=copy.deepcopy(one), checkpoint=path)[1].records) == 6


@pytest.mark.parametrize("held", [threading.Lock(), (i for i in ()), weakref.ref(Held)], ids=["lock", "loop", "ref"])
def test_what_cannot_be_compared_is_refused_at_the_start(held, digits, tmp_path):
    with pytest.raises(TypeError, match=r"cannot tell <.* from another \w+: cannot pickle .*; leave it out"):
        fit(digits, estimator=Held([held]), checkpoint=tmp_path / "run.npz")
    assert not os.listdir(tmp_path)
    fit(digits, epochs=1, estimator=Held([held]))  # without a checkpoint it trains


def test_a_likelihood_of_ones_own_is_compared_by_more_than_its_name(digits, tmp_path):
    one, other = (type(word, (tv.Bernoulli,), {"name": "mine"}) for word in ("Dots", "Pixels"))
    fit(digits, make(likelihood=one), epochs=1, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="likelihood is Dots there and Pixels here"):
        fit(digits, make(likelihood=other), checkpoint=tmp_path / "run.npz")


@pytest.mark.parametrize("optimizer", [lambda: tv.Adam(1e-2), lambda: tv.SGD(1e-2, 0.9)], ids=["adam", "sgd"])
def test_a_rate_that_changes_between_epochs_is_taken_up_again(optimizer, digits, tmp_path):
    def run(epochs, **options):
        mine = optimizer()

        def halve(epoch):
            mine.rate /= 2

        return fit(digits, epochs=epochs, optimizer=mine, after_epoch=halve, **options)[0].theta, mine.rate

    whole, rate = run(4)
    run(2, checkpoint=tmp_path / "run.npz")
    again, resumed = run(4, checkpoint=tmp_path / "run.npz")
    np.testing.assert_array_equal(again, whole)
    assert resumed == rate == 1e-2 / 16


def test_a_change_that_a_checkpoint_does_not_put_back_is_refused_at_the_first_save(digits, tmp_path):
    told = Told(1)
    with pytest.raises(ValueError, match=r"cannot put back .*: estimator is Told\(1\) at the start and Told\(2\) now"):
        fit(digits, estimator=told, checkpoint=tmp_path / "run.npz", after_epoch=lambda _: vars(told).update(value=2))
    assert not os.listdir(tmp_path)


class Mine:
    """An optimiser of one's own, in which a change of a method is a mistake of its own."""

    def __init__(self, rate=0.01, **changes):
        self.rate, self.m = rate, 0.0
        vars(self).update(changes)

    def __repr__(self):
        return f"Mine(rate={self.rate})"

    def step(self, theta, grad):
        grad = grad / np.sqrt(grad @ grad)  # where all of it is 0, there is no direction
        assert np.isfinite(grad).all()
        self.m = 0.5 * self.m + grad
        theta -= self.rate * self.m

    def state(self):
        return {"m": np.asarray(self.m), "rate": self.rate} if np.ndim(self.m) else {}

    def restore(self, state):
        self.m = np.array(state.get("m", 0.0))
        self.rate = float(state.get("rate", self.rate))


def forget(self, state):
    pass


def refuse(self, state):
    raise KeyError("m")


@pytest.mark.parametrize("rate", [1, np.float32(0.01), np.int64(1)], ids=repr)
@pytest.mark.parametrize("new", [lambda: tv.Adam(0.1), lambda: tv.SGD(0.1, 0.5), Mine], ids=["adam", "sgd", "mine"])
def test_a_rate_of_another_type_is_taken_up_again(new, rate, digits, tmp_path):
    def run(epochs, **options):
        optimizer = new()

        def change(epoch):
            optimizer.rate = rate if isinstance(optimizer, (tv.Adam, tv.SGD)) else float(rate)

        return fit(digits, epochs=epochs, optimizer=optimizer, after_epoch=change, rows=40, **options)[0].theta

    run(1, checkpoint=tmp_path / "run.npz")
    np.testing.assert_array_equal(run(2, checkpoint=tmp_path / "run.npz"), run(2))


@pytest.mark.parametrize(
    "changes, error, message",
    [
        (
            dict(restore=forget),
            ValueError,
            r"optimizer's restore\(state\) does not give back m, rate as state\(\) gave it",
        ),
        (dict(restore=refuse), ValueError, r"optimizer's restore\(state\) does not take .* gave: KeyError\('m'\)"),
        (
            dict(state=lambda self: {"m": 0, 3: 4}),
            TypeError,
            r"by name, words that is, got one with the keys \['m', 3\]",
        ),
        (dict(restore=lambda self, state: vars(self).update(m=state["m"])), ValueError, "does not give back rate"),
        (dict(state=lambda self: {}), ValueError, r"put back .*Mine\(rate=0.005\) now and Mine\(rate=0.01\) after"),
    ],
)
def test_a_state_that_would_not_come_back_is_refused_at_the_first_save(changes, error, message, digits, tmp_path):
    optimizer = type("Mine", (Mine,), changes)()
    with pytest.raises(error, match=message) as refusal:
        fit(
            digits, optimizer=optimizer, checkpoint=tmp_path / "run.npz",
            after_epoch=lambda epoch: vars(optimizer).update(rate=0.005),
        )  # fmt: skip
    assert not os.listdir(tmp_path) and "damaged" not in str(refusal.value)


@pytest.mark.parametrize(
    "optimizer, message",
    [
        (
            type("Nameless", (Mine,), {"__repr__": object.__repr__})(),
            "give the class a __repr__ that tells its options",
        ),
        (Mine(log=threading.Lock()), r"tries the optimizer's state on a copy, and Mine\(rate=0.01\) cannot be copied"),
    ],
)
def test_an_optimizer_that_could_not_be_taken_up_is_refused_at_the_start(optimizer, message, digits, tmp_path):
    with pytest.raises(TypeError, match=message):
        fit(digits, optimizer=optimizer, checkpoint=tmp_path / "run.npz", after_epoch=pytest.fail)


@pytest.mark.parametrize("name", ["moving_average", "input_dependent"])
def test_a_decay_that_changes_is_taken_up_again(name, digits, tmp_path):
    def run(epochs, **options):
        estimator = tv.estimators.make(name)

        def change(epoch):
            estimator.learnt.decay = 0.5

        return fit(digits, epochs=epochs, estimator=estimator, after_epoch=change, rows=40, **options)[0].theta

    run(1, checkpoint=tmp_path / "run.npz")
    np.testing.assert_array_equal(run(3, checkpoint=tmp_path / "run.npz"), run(3))
    other = tv.estimators.make(name)
    other.learnt.decay = 0.5
    with pytest.raises(ValueError, match="belongs to another run: estimator is .* there and .*decay=0.5"):
        fit(digits, estimator=other, rows=40, checkpoint=tmp_path / "run.npz")


def test_a_hidden_change_is_refused_at_the_first_save(digits, tmp_path):
    held = Told([np.zeros(2000)])
    with pytest.raises(
        ValueError, match=r"put back .*: estimator is Told.* at the start and Told.* with digest \w+ now"
    ):
        fit(
            digits,
            estimator=held,
            checkpoint=tmp_path / "run.npz",
            after_epoch=lambda _: held.value[0].__setitem__(9, 1),
        )


@pytest.mark.parametrize("value", [{1: 2}, [[1], [2, 3]], np.array([None]), {3}])
def test_a_state_that_needs_pickle_is_refused_at_the_first_save(value, digits, tmp_path):
    class Pickled(type(tv.estimators.make("moving_average"))):
        def state(self):
            return {"memory": value} if super().state() else {}

    with pytest.raises(TypeError, match=r"the estimator's state\(\) under 'memory' must be an array of numbers"):
        fit(digits, estimator=Pickled(), checkpoint=tmp_path / "run.npz")
    assert not os.listdir(tmp_path)


def edited(**changes):
    def edit(arrays):
        for name, change in changes.items():
            name = name.replace("__", ".")
            arrays[name] = change(arrays[name])

    return edit


def without(prefix):
    def edit(arrays):
        for name in [name for name in arrays if name.startswith(prefix)]:
            del arrays[name]

    return edit


@pytest.mark.parametrize(
    "edit, message",
    [
        (edited(theta=lambda a: a[:1]), r"theta must have shape \(\d+,\), got \(1,\)"),
        (edited(theta=lambda a: a.astype("float64")), "theta must be float32, got float64"),
        (edited(theta=lambda a: a * np.nan), "theta must be finite"),
        (without("optimizer."), "the optimizer's t is .* as it was saved and none in the file"),
        (without("optimizer.m"), r"the optimizer's m is float32 \(\d+,\) with digest \w+ as it was saved and none in"),
        (without("estimator."), "the estimator's theta is .* as it was saved and none in the file"),
        (edited(optimizer__m=lambda a: a[:5], optimizer__v=lambda a: a[:5]), r"m is .* and float32 \(5,\) with digest"),
        (
            edited(optimizer__rate=lambda a: -a),
            r"rate is float64 \(\) with digest \w+ as it was saved and float64 \(\)",
        ),
        (edited(records=lambda a: a[:-1]), "its records are not those of whole epochs"),
        (edited(records=lambda a: a[:0]), "its records are not those of whole epochs"),
        (without("became"), "it has no 'became'"),
        (edited(settings=lambda a: "[]"), r"its settings must be names with words and a digest each, .* got \[\]"),
        (edited(settings=lambda a: "null"), "its settings must be names with words and a digest each, .* got null"),
        (edited(states=lambda a: "{"), "Expecting property name"),
    ],
)
def test_an_edited_file_is_refused_before_anything_is_changed(edit, message, digits, tmp_path):
    path = tmp_path / "run.npz"
    fit(digits, epochs=2, estimator="input_dependent", checkpoint=path)
    arrays = files.read_npz(path)
    edit(arrays)
    files.write_npz(path, arrays)
    vae, adam, estimator = make(), tv.Adam(1e-2), tv.estimators.make("input_dependent")
    before = vae.theta.copy()
    with pytest.raises(
        ValueError, match=f"(?s)run.npz is damaged or is not a checkpoint of a training run: .*{message}"
    ):
        fit(digits, vae, checkpoint=path, optimizer=adam, estimator=estimator)
    np.testing.assert_array_equal(vae.theta, before)
    assert adam.state() == estimator.state() == {}


def test_a_file_of_more_epochs_than_asked_for_changes_nothing(digits, tmp_path):
    fit(digits, epochs=2, checkpoint=tmp_path / "run.npz")
    vae, adam = make(), tv.Adam(1e-2)
    with pytest.raises(ValueError, match="holds 2 epochs, more than the 1 asked for"):
        fit(digits, vae, epochs=1, checkpoint=tmp_path / "run.npz", optimizer=adam)
    np.testing.assert_array_equal(vae.theta, make().theta)
    assert adam.state() == {}


def test_other_data_of_the_same_shape_are_noticed(digits, tmp_path):
    fit(digits, epochs=1, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="x is float32 .* there and float32"):
        fit(1 - digits, validation=digits[400:430], checkpoint=tmp_path / "run.npz")


def test_a_damaged_file_or_a_plain_model_is_refused(digits, tmp_path, capsys):
    path = tmp_path / "run.npz"
    fit(digits, epochs=1, checkpoint=path)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"hello"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="run.npz is damaged or is not a checkpoint of a training run"):
            fit(digits, checkpoint=path)
    make().save(path)
    with pytest.raises(ValueError, match="run.npz is a model, not a checkpoint of a training run: give another"):
        fit(digits, checkpoint=path)
    assert "Going on" not in capsys.readouterr().err


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
