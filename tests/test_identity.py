"""Two things that a run must not mistake for each other have two identities, and a thing made anew has the same."""

import dataclasses
import enum
import functools
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.training.identity import identity, words

LONG = np.arange(2000.0)  # NumPy's repr leaves out its middle


@dataclasses.dataclass
class Record:
    value: object


class Held:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def default(value):
    def function(x, option=value):
        return x

    return function


def keyword(value):
    def function(x, *, option=value):
        return x

    return function


def attribute(value):
    def function(x):
        return x

    function.value = value
    return function


def constant(value):
    space = {}
    exec(f"def function(x): return lambda: {float(np.sum(value))}", space)
    return space["function"]


def made_class(value):
    class Made(Held):
        option = value

        def __init__(self):
            super().__init__(value)

        @classmethod
        def of_the_class(cls):
            return value

        @functools.cached_property
        def late(self):
            return self

    return Made


def by_property(value):
    return type("Made", (), {"told": property(lambda self: value)})


def made_record(value):
    @dataclasses.dataclass(frozen=True)
    class Made:
        option: float = float(np.sum(value))
        more: list = dataclasses.field(default_factory=list)

    return Made


def mutual(value):
    def one():
        return other()

    def other():
        return one(), value

    return one


def empty_cell(value):
    def function():
        return later, value

    if value is None:
        later = 1
    return function


def circle(value):
    held = Held(value)
    held.itself = [held]
    return held


def wrapped(value):
    @functools.wraps(tv.estimators.reparameterization)
    def function(*arguments):
        return value

    return function


def decorated(value):
    @tv.estimators.estimator(samples=2)
    def mine(q, target, eps, objective=None, rng=None):
        return value

    return mine


def cached(value):
    @functools.lru_cache
    def function():
        return value

    return function


def compiled(value):
    def py_func():
        return value

    return types.SimpleNamespace(py_func=py_func, own=object())


MAKERS = [
    default, keyword, attribute, constant, made_class, by_property, made_record, mutual, empty_cell, circle, wrapped,
    decorated, cached, compiled, Record, Held, Slotted,
    lambda value: [value], lambda value: {"a": (value,)}, lambda value: {1, "b", float(np.sum(value))},
    lambda value: made_class(value)(), lambda value: made_class(value).of_the_class, lambda value: Held(value).__init__,
    lambda value: functools.partial(print, a=value), lambda value: lambda: value,
    lambda value: np.array([value, None], object), lambda value: enum.Enum("Made", {"A": float(np.sum(value))}).A,
    lambda value: np.random.default_rng(int(np.sum(value))),
    lambda value: type("Made", (tv.DiagonalGaussian,), {"option": value}),
    lambda value: [tv.estimators.make("moving_average", decay=float(np.sum(value)) / 1e7)],
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_is_the_same_and_another_is_another(make):
    other = LONG.copy()
    other[1000] += 1
    assert identity(make(LONG)) == identity(make(LONG.copy())) != identity(make(other))
    assert isinstance(words(make(LONG)), str) and len(words(make(LONG))) < 400


def test_numbers_of_another_type_or_sign_are_others():
    values = [
        1,
        1.0,
        True,
        np.float32(1),
        np.float64(1),
        "1",
        (1,),
        [1],
        {1},
        -1,
        0.0,
        -0.0,
        None,
        np.ones(1),
        np.ones((1, 1)),
    ]
    assert len({identity(value) for value in values}) == len(values)
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1})


def test_what_is_known_is_told_by_its_word():
    vae = tv.VAE(4, 1)
    before = identity(Held(vae), {id(vae): "the model"})
    vae.theta += 1
    assert identity(Held(vae), {id(vae): "the model"}) == before


def test_what_is_nested_too_deeply_says_so():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(TypeError, match="cannot compare a list that is nested so deeply"):
        identity(deep)


@pytest.mark.slow
def test_another_process_finds_the_same():
    code = "import test_identity as t; print([t.identity(make(t.LONG)) for make in t.MAKERS])"
    options = dict(capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    seeds = [{"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    runs = [subprocess.run([sys.executable, "-c", code], env=env, **options).stdout for env in seeds]
    assert runs[0] == runs[1] and len(runs[0]) > 100
