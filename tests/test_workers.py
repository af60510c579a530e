"""Threads: what is split is covered once, errors come back, nothing deadlocks; the number of workers changes no bit."""

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

LARGE = workers.WORTH_SPLITTING


@pytest.fixture(autouse=True)
def one_blas_thread(request):
    """What `split` waits for."""
    if "blas_threads" in request.fixturenames:  # these tests are about BLAS's threads themselves
        yield
        return
    with blas.one_thread():
        yield


@pytest.fixture(params=["1", "2", "3"])
def n_workers(request, monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", request.param)
    return int(request.param)


@pytest.fixture
def two_workers(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "2")


def within(seconds, function):
    """function()'s result; a failure, instead of a wait without end, if it takes longer than `seconds`."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "deadlock"
    return result[0]


def parts(n, work):
    seen = []
    workers.split(seen.append, n, work)
    return seen


# --- split ------------------------------------------------------------------------------------------------


def test_nothing_is_split_while_blas_has_threads_of_its_own(two_workers, monkeypatch):
    monkeypatch.setattr(blas, "threads", lambda: 2)
    assert parts(10, LARGE) == [slice(0, 10)]


@pytest.mark.parametrize("work", [0, LARGE - 1, LARGE])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 101])
def test_split_covers_the_range_once(n_workers, n, work):
    covered = sorted(i for part in parts(n, work) for i in range(n)[part])
    assert covered == list(range(n))


def test_split_uses_a_second_thread_only_for_large_work(two_workers):
    def threads(n, work):
        seen = set()

        def function(part):
            seen.add(threading.get_ident())
            time.sleep(0.05)  # or the first thread would take both halves before the second wakes

        workers.split(function, n, work)
        return seen

    assert threads(100, LARGE - 1) == {threading.get_ident()}
    assert len(threads(100, LARGE)) == 2
    assert len(parts(1, LARGE)) == 1  # there is no half of one row


@pytest.mark.parametrize("bad", ["first", "second", "both"])
def test_split_raises_an_error_of_either_half_and_works_again(two_workers, bad):
    def function(part):
        half = "first" if part.start == 0 else "second"
        time.sleep(0.02)  # both halves are under way
        if bad in (half, "both"):
            raise KeyError(half)

    for _ in range(3):
        with pytest.raises(KeyError, match="second" if bad == "second" else "first"):
            workers.split(function, 10, LARGE)
        assert len(parts(10, LARGE)) == 2


def test_split_waits_for_the_second_half_when_the_first_fails(two_workers):
    begun, finished = [], []

    def function(part):
        if part.start == 0:
            while not begun:
                time.sleep(0.001)
            raise KeyError
        begun.append(part)
        time.sleep(0.05)
        finished.append(part)

    with pytest.raises(KeyError):
        workers.split(function, 10, LARGE)
    assert finished  # else it would go on writing into arrays that the caller has back


def test_a_half_that_nobody_has_begun_is_done_here(two_workers):
    release = threading.Event()
    with workers.meanwhile([release.wait], LARGE):  # the helper is busy
        time.sleep(0.05)
        assert within(10, lambda: parts(10, LARGE)) == [slice(0, 5), slice(5, 10)]
        release.set()


def test_work_is_done_whether_the_helper_looks_out_or_sleeps(two_workers):
    def halves():
        return len(parts(10, LARGE))

    for pause in (0, 0.001, 0.05):  # the last two: it has gone to sleep
        time.sleep(pause)
        assert [within(10, halves) for _ in range(200)] == [2] * 200


# --- meanwhile --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", [0, LARGE])
@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_meanwhile_calls_each_once(n_workers, n, work):
    called = []
    for _ in range(20):
        with workers.meanwhile([lambda i=i: called.append(i) for i in range(n)], work):
            pass
        assert sorted(called) == list(range(n))
        called.clear()


def test_meanwhile_shares_the_work(two_workers):
    threads = []

    def function():
        threads.append(threading.get_ident())
        time.sleep(0.05)

    with workers.meanwhile([function] * 4, LARGE):
        time.sleep(0.02)  # the helper begins
    assert len(threads) == 4 and len(set(threads)) == 2
    threads.clear()
    workers.share([function] * 2, workers.WORTH_SPLITTING - 1)
    assert set(threads) == {threading.get_ident()}


def test_meanwhile_waits_for_what_the_helper_has_begun(two_workers):
    begun, done = threading.Event(), []

    def slow():
        begun.set()
        time.sleep(0.05)
        done.append(threading.get_ident())

    with workers.meanwhile([slow], LARGE):
        assert begun.wait(10)
    assert len(done) == 1 and done[0] != threading.get_ident()


@pytest.mark.parametrize("work", [0, LARGE])
def test_meanwhile_raises_what_went_wrong(two_workers, work):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), workers.meanwhile([lambda: 1 / 0] * 3, work):
            time.sleep(0.01)


def test_meanwhile_drops_what_is_not_begun_after_an_error_in_the_body(two_workers):
    begun = []

    def slow():
        begun.append("begun")
        time.sleep(0.1)
        begun.append("ended")

    with pytest.raises(KeyError), workers.meanwhile([slow] * 3, LARGE):
        while not begun:
            time.sleep(0.001)
        raise KeyError
    assert begun == ["begun", "ended"]
    time.sleep(0.15)
    assert begun == ["begun", "ended"]


@pytest.mark.parametrize("work", [0, LARGE, 3 * LARGE, 100 * LARGE])
@pytest.mark.parametrize("n", [0, 1, 3, 100])
def test_parts_cover_the_range_once(n_workers, n, work):
    found = workers.parts(n, work)
    assert [i for part in found for i in range(n)[part]] == list(range(n))
    assert len(found) == (min(n, 4, work // LARGE) if n_workers > 1 and n > 1 and work > LARGE else 1)


def test_split_within_split_and_within_run_does_not_deadlock(two_workers):
    def total(n):
        sums = []

        def outer(part):
            workers.split(lambda inner: sums.append(sum(range(n)[part][inner])), part.stop - part.start, LARGE)

        workers.split(outer, n, LARGE)
        return sum(sums)

    assert within(10, lambda: total(100)) == sum(range(100))
    assert within(10, lambda: list(workers.run(total, [10, 100, 1000]))) == [sum(range(n)) for n in (10, 100, 1000)]


def test_split_from_many_threads_at_once(two_workers):
    def total(n):
        sums = []
        for _ in range(200):
            workers.split(lambda part: sums.append(sum(range(n)[part])), n, LARGE)
        return sum(sums)

    results = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: total(n)}), daemon=True) for n in (10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {n: 200 * sum(range(n)) for n in (10, 20, 30)}


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
    assert len(started) <= n_workers + 2  # so that results do not pile up in memory
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
        with blas.one_thread():  # TINYVAE_WORKERS=1 leaves the threads to BLAS: held fixed here
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


def test_count_is_the_environment_s_or_two(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "7")
    assert workers.count() == 7
    for unset in (lambda: monkeypatch.setenv("TINYVAE_WORKERS", ""), lambda: monkeypatch.delenv("TINYVAE_WORKERS")):
        unset()
        assert workers.count() == min(2, workers.CORES)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", " "])
def test_a_wrong_count_is_refused_with_its_name(monkeypatch, value):
    monkeypatch.setenv("TINYVAE_WORKERS", value)
    with pytest.raises(ValueError, match=f"TINYVAE_WORKERS must be a whole number of at least 1, got '{value}'"):
        workers.count()


# --- fork -------------------------------------------------------------------------------------------------

FORK = """
import os
from tinyvae.machine import workers

def both():
    seen = []
    with workers.instead_of_blas():
        workers.split(seen.append, 10, workers.WORTH_SPLITTING)
    return len(seen)

assert both() == 2
child = os.fork()
if child == 0:
    os._exit(0 if both() == 2 and list(workers.run(abs, [-1, -2])) == [1, 2] else 1)
status = os.waitpid(child, 0)[1]
assert status == 0, status
assert both() == 2
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_helper_of_its_own():
    env = {**os.environ, "TINYVAE_WORKERS": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_helper_does_not_keep_a_process_alive():
    text = """
from tinyvae.machine import blas, workers
context = blas.one_thread()
context.__enter__()
workers.split(print, 10, workers.WORTH_SPLITTING)
"""
    env = {**os.environ, "TINYVAE_WORKERS": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("slice") == 2, done.stderr


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
