"""Tasks on threads: in order, errors come back; the number of workers changes no bit. How many threads BLAS has."""

import contextlib
import gc
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.machine import blas, workers


@pytest.fixture(params=["1", "2", "3"])
def n_workers(request, monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", request.param)
    return int(request.param)


@pytest.fixture
def two_workers(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "2")


# --- run --------------------------------------------------------------------------------------------------


def test_run_yields_in_order_whichever_is_ready_first(n_workers):
    def slow_at_first(i):
        time.sleep(0.02 if i == 0 else 0)
        return i

    assert list(workers.run(slow_at_first, list(range(10)))) == list(range(10))
    assert list(workers.run(slow_at_first, [])) == []


def test_run_is_only_a_few_tasks_ahead(n_workers):
    started = []
    results = workers.run(started.append, list(range(100)))
    next(results)
    assert len(started) <= 2 * n_workers + 2  # so that results do not pile up in memory
    results.close()


def test_run_raises_a_task_s_error_and_works_again(n_workers):
    def function(i):
        if i == 3:
            raise KeyError(i)
        return i

    with pytest.raises(KeyError, match="3"):
        list(workers.run(function, list(range(6))))
    assert list(workers.run(function, [0, 1])) == [0, 1]


def test_run_is_bitwise_independent_of_the_number_of_workers(monkeypatch):
    def task(stream):
        a = stream.standard_normal((200, 300), dtype="float32")
        return a.T @ a

    results = []
    for n in ("1", "2", "3"):
        monkeypatch.setenv("TINYVAE_WORKERS", n)
        with blas.one_thread():
            results.append(list(workers.run(task, np.random.default_rng(0).spawn(5))))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


def test_variances_are_bitwise_independent_of_the_number_of_workers(monkeypatch):
    vae = tv.VAE(30, 2, (20,))
    x = np.random.default_rng(1).random((40, 30), dtype="float32")
    reports = []
    for n in ("1", "2"):
        monkeypatch.setenv("TINYVAE_WORKERS", n)
        with blas.one_thread():
            reports.append(
                tv.variance.measure(vae, x, ("score_function", "reparameterization"), n_draws=300, n_timings=0)
            )
    for name, report in reports[0].items():
        for field in ("mean", "variance"):
            mine, other = getattr(report, field), getattr(reports[1][name], field)
            assert all(np.array_equal(mine[block], other[block]) for block in mine)


# --- how many ---------------------------------------------------------------------------------------------


def test_count_is_the_environment_s_or_the_physical_cores_and_at_most_eight(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "7")
    assert workers.count() == 7
    for unset in (lambda: monkeypatch.setenv("TINYVAE_WORKERS", ""), lambda: monkeypatch.delenv("TINYVAE_WORKERS")):
        unset()
        for cores in (1, 2, 8, 9, 64):
            monkeypatch.setattr(workers, "cores", lambda: cores)
            assert workers.count() == min(cores, 8)


@pytest.mark.parametrize(
    "siblings, found",
    [
        ({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, 2),  # two threads a core
        ({0: "0-1", 3: "2-3"}, 2),  # one of each of two
        ({0: "0", 1: "1"}, 2),
        ({}, 3),  # the system does not say
    ],
)
def test_a_core_s_two_threads_count_once(siblings, found, monkeypatch):
    class Read:
        def __init__(self, path):
            self.processor = int(path.split("cpu/cpu")[1].split("/")[0])

        def read_text(self):
            if self.processor not in siblings:
                raise FileNotFoundError
            return siblings[self.processor]

    monkeypatch.setattr(workers, "Path", Read)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(siblings) or {0, 1, 2}, raising=False)
    assert workers.cores.__wrapped__() == found
    monkeypatch.delattr(workers.os, "sched_getaffinity")
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 6)
    assert workers.cores.__wrapped__() == 6


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", " "])
def test_a_wrong_count_is_refused_with_its_name(monkeypatch, value):
    monkeypatch.setenv("TINYVAE_WORKERS", value)
    with pytest.raises(ValueError, match=f"TINYVAE_WORKERS must be a whole number of at least 1, got '{value}'"):
        workers.count()


# --- BLAS -------------------------------------------------------------------------------------------------

needs_openblas = pytest.mark.skipif(blas.threads() is None, reason="this NumPy's BLAS has threads of its own making")


@pytest.fixture
def blas_threads():
    """How to read and set BLAS's number of threads; restored at the end."""
    read, write, _ = blas._calls()
    before = read()
    yield read, write
    write(before)


@needs_openblas
@pytest.mark.parametrize("n", [1, 2])
def test_one_thread_restores_the_number(blas_threads, n):
    read, write = blas_threads
    write(n)
    with blas.one_thread():
        assert read() == 1
        with blas.one_thread():
            assert read() == 1
        assert read() == 1
    assert read() == n
    with pytest.raises(KeyError), blas.one_thread():
        raise KeyError
    assert read() == n


@needs_openblas
def test_the_package_restores_the_number(blas_threads, two_workers):
    read, write = blas_threads
    write(2)
    vae = tv.VAE(784, 5, (100,))
    x = np.zeros((100, 784), "float32")
    next(tv.train(vae, x))
    assert read() == 2
    vae.log_likelihood(x[:2], 10, np.random.default_rng(0))
    assert read() == 2
    vae.encode(x)
    assert read() == 2
    with pytest.raises(KeyError):
        list(workers.run({}.__getitem__, [1]))
    assert read() == 2


@needs_openblas
@pytest.mark.parametrize("first_ends_first", [True, False])
def test_the_last_of_overlapping_contexts_restores_the_number(blas_threads, first_ends_first):
    read, write = blas_threads
    write(2)
    contexts = [blas.one_thread() for _ in range(2)]
    for context in contexts:
        context.__enter__()
    for context in contexts if first_ends_first else contexts[::-1]:
        assert read() == 1
        context.__exit__(None, None, None)
    assert read() == 2
    write(3)  # what is restored is read anew each time
    with blas.one_thread():
        pass
    assert read() == 3


@needs_openblas
def test_own_threads_overrules_what_was_entered_before_it_and_nothing_else(blas_threads, monkeypatch):
    read, write = blas_threads
    monkeypatch.setattr(blas, "_found", lambda: (read, write, 2))
    write(3)
    with blas.own_threads():
        assert read() == 2
    assert read() == 3
    before, within_, own = blas.one_thread(), blas.one_thread(), blas.own_threads()
    for context, n in ((before, 1), (own, 2), (within_, 1)):
        context.__enter__()
        assert read() == n
    own.__exit__(None, None, None)
    assert read() == 1
    before.__exit__(None, None, None)
    assert read() == 1
    within_.__exit__(None, None, None)
    assert read() == 3
    with pytest.raises(KeyError), blas.one_thread(), blas.own_threads():
        raise KeyError
    assert read() == 3


@needs_openblas
def test_a_generator_that_is_left_in_the_middle_gives_the_threads_back_when_it_is_collected(blas_threads, two_workers):
    read, write = blas_threads
    write(2)
    records = tv.train(tv.VAE(8, 2, (4,)), np.zeros((20, 8), "float32"), batch_size=10)
    next(records)
    circle = [records]
    circle.append(circle)
    with blas.one_thread():
        del records, circle
        gc.collect()
        assert read() == 1
    assert read() == 2


@pytest.mark.parametrize("moment", range(1, 20))
@pytest.mark.parametrize("context, n", [(blas.one_thread, 1), (blas.own_threads, 3)])
def test_a_context_that_the_collector_ends_while_the_number_is_changed(monkeypatch, context, n, moment):
    number, calls, left = [2], [], contextlib.ExitStack()

    def tick():
        calls.append(None)
        if len(calls) == moment:
            left.close()

    def get():
        tick()
        value = number[0]
        tick()
        return value

    def set_(value):
        tick()
        number[0] = value
        tick()

    monkeypatch.setattr(blas, "_found", lambda: (get, set_, 3))
    monkeypatch.setattr(blas, "_wishes", {})
    left.enter_context(blas._using(1))
    with context():
        assert number == [n]
    left.close()
    assert number == [2]


@needs_openblas
def test_threads_that_come_and_go_leave_the_number_as_it_was(blas_threads):
    read, write = blas_threads
    write(2)
    seen = []

    def come_and_go(seed):
        rng = random.Random(seed)
        for _ in range(100):
            with blas.one_thread():
                seen.append(read())
                time.sleep(rng.random() * 1e-4)
                seen.append(read())

    threads = [threading.Thread(target=come_and_go, args=(seed,), daemon=True) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 800 and set(seen) == {1}
    assert read() == 2


@needs_openblas
@pytest.mark.parametrize("beside", ["a generator that ends", "a generator that is dropped", "a measure"])
def test_a_run_s_weights_are_bitwise_the_same_alone_and_beside_what_ends_in_the_middle(
    blas_threads, two_workers, beside
):
    read, write = blas_threads
    write(2)
    x = (np.random.default_rng(0).random((400, 784)) < 0.2).astype("uint8")
    begun, end = threading.Event(), threading.Event()

    def run(meanwhile=lambda: None):
        vae = tv.VAE(784, 5, (100,))
        for record in tv.train(vae, x, epochs=3, batch_size=100):
            assert read() == 1
            if record.step == 3:
                meanwhile()
        return vae.theta.copy()

    def slow(*arguments):
        if threading.current_thread() is not thread:  # a worker of its
            begun.set()
            assert end.wait(60)
        return tv.estimators.reparameterization(*arguments)

    alone = run()
    assert read() == 2
    if beside == "a measure":
        thread = threading.Thread(
            target=tv.variance.measure,
            args=(tv.VAE(784, 5, (100,)), x[:10], [slow]),
            kwargs=dict(n_draws=20, n_timings=0),
            daemon=True,
        )
        thread.start()
        assert begun.wait(60)

        def meanwhile():
            end.set()
            thread.join(60)
            assert not thread.is_alive()

    else:
        others = [tv.train(tv.VAE(784, 5, (100,)), x, epochs=1, batch_size=100)]
        next(others[0])

        def meanwhile():
            if beside == "a generator that ends":
                assert len(list(others[0])) == 3
            others.clear()

    np.testing.assert_array_equal(run(meanwhile), alone)
    assert read() == 2


FORK_BESIDE_RUNS = """
import os, signal, threading
import numpy as np
import tinyvae as tv
from tinyvae.machine import blas

read, write, _ = blas._calls()
write(2)
stop = threading.Event()

def come_and_go():
    while not stop.is_set():
        with blas.one_thread():
            pass

def rest(records, vae):
    for _ in records:
        assert read() == 1
    return vae.theta.copy()

vae = tv.VAE(50, 2, (100,))
records = tv.train(vae, np.random.default_rng(0).random((400, 50), dtype="float32"), epochs=2)
next(records)
thread = threading.Thread(target=come_and_go)
thread.start()
children = []
for _ in range(20):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        stop.set()
        with blas.one_thread():
            assert read() == 1
        with blas.own_threads():
            assert read() == 2
        if not children:
            os.write(writer, rest(records, vae).tobytes())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        children.append(file.read())
    status = os.waitpid(child, 0)[1]
    assert status == 0, status
stop.set()
thread.join()
assert children[0] == rest(records, vae).tobytes()
assert read() == 2
"""


@needs_openblas
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_goes_on_with_a_run_and_finds_no_lock_held():
    env = {**os.environ, "TINYVAE_WORKERS": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK_BESIDE_RUNS],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
