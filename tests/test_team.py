"""The team: tickets once, a meeting of all, helpers that come late, sleep and wake; safe in whatever a process does."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.kernels import dense, passes
from tinyvae.kernels import team as kernels
from tinyvae.kernels.addresses import vector
from tinyvae.kernels.blocks import BLOCKS
from tinyvae.kernels.compile import loop
from tinyvae.kernels.team import done, meet, take
from tinyvae.machine import blas, team

pytestmark = pytest.mark.skipif(not team.usable(), reason="there is no team without compiled passes")
REAL = team.PRECISIONS[np.dtype("float32")]


def count_numpy(n_phases, n_blocks, rounds, counts):
    """counts (n_phases, n_blocks) += 1, or 1000 where a block of the phase before was not done; rounds: of waiting."""


@loop(count_numpy)
def count(team, base, call, real):
    n_phases, n_blocks, rounds, counts = call[1], call[2], call[3], call[4]
    for phase in range(n_phases):
        ticket = take(team, base, n_blocks)
        while ticket < n_blocks:
            missing, waited = 0, 0
            if phase:
                before = vector(counts + (phase - 1) * n_blocks * 8, call, n_blocks)
                for i in range(n_blocks):
                    missing += before[i] != 1
            for i in range(rounds * (ticket % 3)):
                waited += team[i % 16] >= 0
            mine = vector(counts + (phase * n_blocks + ticket) * 8, call, 1)
            mine[0] += 1000 if missing or waited < 0 else 1
            done(team)
            ticket = take(team, base, n_blocks)
        base = meet(team, base, n_blocks)
    return base


def entry(pass_=count):
    return team._entry(pass_, np.dtype("float32"))


def as_call(*passes):
    """Passes, each with its words, as they stand in a call."""
    words = np.zeros(kernels.LENGTH, np.int64)
    flat = [word for pass_, *arguments in passes for word in (entry(pass_), len(arguments), *arguments)]
    words[: len(flat)] = flat
    return words


def words_for(n_phases, n_blocks, rounds, counts):
    return as_call((count, 0, n_phases, n_blocks, rounds, counts.ctypes.data))


def call(one, n_phases=1, n_blocks=1, rounds=0):
    counts = np.zeros((n_phases, n_blocks), np.int64)
    one.call(words_for(n_phases, n_blocks, rounds, counts), REAL)
    return counts


def within(seconds, condition):
    """Whether a condition comes true within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.001)
    return condition()


@pytest.fixture(params=[1, 2, 3, 5, 9])
def one(request):
    made = team.Team(request.param)
    yield made
    made.close()


# --- tickets and the meeting ----------------------------------------------------------------------------


def test_each_ticket_is_given_once_and_a_meeting_waits_for_all(one):
    for repeat in range(150):
        one.words[kernels.ALONE] = one.words[kernels.REST] = 0
        n_phases, n_blocks = 1 + repeat % 5, repeat % 17
        assert (call(one, n_phases, n_blocks, rounds=repeat % 3 * 300) == 1).all()
    assert one.words[kernels.NEXT] == one.words[kernels.DONE]


def test_a_ticket_is_given_once_and_none_of_another_phase():
    words = team.Team(1).words
    words[kernels.NEXT] = 10
    assert [int(kernels_take(words, 10, 3)) for _ in range(5)] == [0, 1, 2, 3, 3]
    assert words[kernels.NEXT] == 13
    assert kernels_take(words, 5, 8) == 8 and kernels_take(words, 14, 3) == 3  # over; not begun
    assert words[kernels.NEXT] == 13


def test_a_meeting_waits_for_the_last_block():
    words, met = team.Team(1).words, []
    words[kernels.NEXT], words[kernels.DONE] = 13, 10 + 2  # the third of three blocks is begun, and not done

    def wait():
        met.append(int(kernels_meet(words, 10, 3)))

    kernels_meet(words, 0, 3)  # compiled; over long ago
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    time.sleep(0.05)
    assert not met
    words[kernels.DONE] += 1
    thread.join(20)
    assert met == [13]


def meet_numpy(words, base, n):
    """The next phase's ticket."""


@loop(meet_numpy)
def kernels_meet(words, base, n):
    return meet(words, base, n)


def take_numpy(words, base, n):
    """A block's number, or n."""


@loop(take_numpy)
def kernels_take(words, base, n):
    return take(words, base, n)


def pretend(words):
    """A team's words as if it had a helper."""
    words[kernels.HELPERS] = 1
    return words


@pytest.mark.parametrize("name", ["count", "forward", "deltas", "weight_gradients", "losses", "update"])
def test_a_helper_that_comes_late_touches_no_array(name):
    words, f32 = pretend(team.Team(1).words), np.dtype("float32")
    rng = np.random.default_rng(0)
    x, theta, h, y, room = (rng.random(shape, dtype="float32") for shape in ((4, 3), 38, 4 * 5, (4, 3), 4 * 8))
    act = team.Typed(dense.bias_tanh, (f32, 2), (f32, 1))
    slope = team.Typed(dense.tanh_backward, (f32, 2), (f32, 2))
    loss = team.Typed(tv.Bernoulli.loss_and_slope, (f32, 2), (f32, 2), (f32, 1))
    arguments = {
        "count": (2, 3, 0, np.zeros(6, np.int64)),
        "forward": (act, (3, 5, 3), 4, theta, x, h, h, y),
        "deltas": (slope, (3, 5, 3), 4, theta, y, h, h.copy(), x),
        "weight_gradients": ((3, 5, 3), 4, x, h, y, h, y[:, 0].copy(), room, theta),
        "losses": (loss, *y.shape, y, *x.shape, 0, x, h, 0, None, y.copy()),
        "update": (38, theta, theta.copy(), theta.copy(), theta.copy(), np.ones(5)),
    }[name]
    pass_ = count if name == "count" else getattr(passes, name)
    numbers = as_call((pass_, team._blocks(), *map(team._word, arguments)))
    kernels.lead(words, numbers, REAL)
    before = words[[kernels.NEXT, kernels.DONE]].copy()
    assert before[0] == before[1] > 0
    for i, argument in enumerate(arguments):
        if isinstance(argument, np.ndarray):
            words[kernels.FIRST + 3 + i] = 8  # whoever reads or writes there ends the process
    room = np.zeros(kernels.LENGTH, np.int64)
    assert kernels.serve(words, 0, 10, room, REAL) == words[kernels.CALL] > 0
    np.testing.assert_array_equal(words[[kernels.NEXT, kernels.DONE]], before)


def test_blocks_stay_where_a_late_helper_may_read_them():
    """Had they gone, it could read another's sizes there, find a ticket in a past call, and write to freed memory."""

    def read(place):
        return np.array((ctypes.c_int64 * BLOCKS).from_address(place))

    sizes = tuple(range(1, 1 + len(blas.SMALL)))
    with team.cut_into(sizes):
        place = team._state["blocks"]
        with team.cut_into(blas.LARGE):
            assert team._state["blocks"] != place
        assert team._state["blocks"] == place
    with team.cut_into(blas.SMALL):
        gc.collect()
    assert not team._state["blocks"]
    np.testing.assert_array_equal(read(place), [*blas.blocks()[:2], *sizes])
    with pytest.raises(ValueError, match="blocks have 9 sizes, got 8"), team.cut_into(sizes[1:]):
        pass


def test_the_passes_of_a_call_run_one_after_the_other(one):
    """Each reads what the one before it wrote, also where a helper comes late to some of them."""
    first, second, third = (np.zeros((2, n), np.int64) for n in (7, 1, 12))
    for _ in range(200):
        for counts in (first, second, third):
            counts[:] = 0
        one.words[kernels.ALONE] = one.words[kernels.REST] = 0
        one.call(as_call(*((count, 0, *c.shape, 20, c.ctypes.data) for c in (first, second, third))), REAL)
        assert all((counts == 1).all() for counts in (first, second, third))
    assert one.words[kernels.NEXT] == one.words[kernels.DONE] == 200 * 2 * (7 + 1 + 12)


def test_a_call_that_is_being_written_is_not_served():
    words, counts = pretend(team.Team(1).words), np.zeros((1, 3), np.int64)
    kernels.lead(words, words_for(1, 3, 0, counts), REAL)
    words[kernels.CALL] += 1
    words[kernels.FIRST] = 8  # whoever calls it ends the process
    assert kernels.serve(words, 0, 100, np.zeros(kernels.LENGTH, np.int64), REAL) == 0


def test_a_busy_machine_is_left_alone_for_a_while_that_doubles():
    words, counts = pretend(team.Team(1).words), np.zeros((1, 1), np.int64)
    entry()
    for rest in (kernels.LEAST, 2 * kernels.LEAST - 4):
        words[kernels.DONE] -= 1  # a helper has begun a block, and was put aside
        thread = threading.Thread(target=kernels.lead, args=(words, words_for(1, 1, 0, counts), REAL), daemon=True)
        start = int(words[kernels.CALL])
        thread.start()
        assert within(20, lambda: words[kernels.ALONE] > start)
        assert thread.is_alive()
        words[kernels.DONE] += 1
        thread.join(20)
        assert not thread.is_alive()
        assert words[kernels.ALONE] == words[kernels.CALL] + 2 * rest and words[kernels.REST] == rest
        words[kernels.FIRST] = 0
        assert kernels.serve(words, 0, 100, np.zeros(kernels.LENGTH, np.int64), REAL) == words[kernels.CALL]
        for _ in range(rest):
            kernels.lead(words, words_for(1, 1, 0, counts), REAL)
            assert words[kernels.FIRST] == 0
        kernels.lead(words, words_for(1, 1, 0, counts), REAL)
        assert words[kernels.FIRST] == entry()  # together again
        assert words[kernels.REST] == rest - 1


# --- helpers --------------------------------------------------------------------------------------------


def cpu_time(seconds):
    start = time.process_time()
    time.sleep(seconds)
    return time.process_time() - start


def asleep(one):
    """Whether all its helpers wait to be woken, told by the time that the process uses."""
    return cpu_time(0.02) < 0.005


def test_helpers_sleep_are_woken_and_go_home():
    one = team.Team(3)
    assert within(20, lambda: asleep(one)) and one.words[kernels.ASLEEP] == 1
    for _ in range(3):
        one.words[kernels.ALONE] = one.words[kernels.REST] = 0
        assert (call(one, 3, 7) == 1).all()
        assert within(20, lambda: asleep(one))
    one.close()
    assert not any(thread.is_alive() for thread in one._threads)
    assert (call(one, 3, 7) == 1).all()  # the leader is left, and does all


def test_a_helper_takes_its_share():
    one, shared = team.Team(2), []

    def rendezvous():
        one.words[kernels.ALONE] = one.words[kernels.REST] = 0
        flags = np.zeros(2, np.int64)
        one.call(as_call((meeting, 0, 3_000_000, flags.ctypes.data)), REAL)
        shared.append(flags.tolist())
        return flags.tolist() == [2, 2]

    assert within(30, rendezvous), shared[-5:]
    one.close()


def meeting_numpy(spins, flags):
    """Two blocks, each of which waits for the other to have begun; flags (2,): 2 where it had, 1 where it gave up."""


@loop(meeting_numpy)
def meeting(team, base, call, real):
    ticket = take(team, base, 2)
    while ticket < 2:
        flags = vector(call[2], call, 2)
        kernels.store(flags, ticket, 1)
        spins = call[1]
        while spins > 0 and kernels.load(flags, 1 - ticket) == 0:
            spins -= 1
        if spins > 0:
            flags[ticket] = 2
        done(team)
        ticket = take(team, base, 2)
    return meet(team, base, 2)


def test_close_waits_for_nobody_who_does_not_come():
    one = team.Team(2)
    one._busy.acquire()  # as where Ctrl-C came just after
    thread = threading.Thread(target=one.close, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    one._busy.release()
    one.close()


# --- VAEs -------------------------------------------------------------------------------------------------

X = (np.random.default_rng(0).random((60, 40)) < 0.3).astype("float32")


def steps(seed, hidden=(30, 20), **options):
    vae = tv.VAE(40, 2, hidden, seed=seed)
    for record in tv.train(vae, X * 0.9, epochs=3, batch_size=20, seed=seed, **options):
        yield record
    yield vae.theta.copy()


def trained(seed, **options):
    return list(steps(seed, **options))[-1]


@pytest.fixture
def three_workers(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "3")


def test_several_vaes_interleaved_and_in_several_threads_learn_as_alone(three_workers):
    alone = [trained(seed) for seed in range(3)]
    *_, interleaved = zip(*(steps(seed) for seed in range(3)))
    found = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: trained(seed)}), daemon=True) for seed in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed in range(3):
        np.testing.assert_array_equal(interleaved[seed], alone[seed])
        np.testing.assert_array_equal(found[seed], alone[seed])


def test_an_error_between_passes_leaves_a_team_that_works(three_workers):
    def faulty(q, target, eps, objective, rng):
        target(q.sample(eps))
        raise ZeroDivisionError

    before = trained(0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            trained(0, estimator=faulty)
        np.testing.assert_array_equal(trained(0), before)


def test_the_team_follows_the_number_of_workers(monkeypatch):
    found = []
    for n in ("1", "2", "3", "5"):
        monkeypatch.setenv("TINYVAE_WORKERS", n)
        found.append(trained(0))
        assert team._state["team"].size == int(n)
        np.testing.assert_array_equal(found[-1], found[0])


def script(text, *arguments, **environment):
    usual = {"TINYVAE_WORKERS": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return [sys.executable, "-W", "ignore::DeprecationWarning", "-c", TRAIN + text, *arguments], {
        **os.environ,
        **usual,
        **environment,
    }


def run(text, **environment):
    """What a script printed in a fresh process, which has to end well, and in time."""
    command, env = script(text, **environment)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


TRAIN = """
import os, sys, time
import numpy as np
import tinyvae as tv

def theta(epochs=3):
    vae = tv.VAE(40, 2, (30, 20), seed=1)
    for record in tv.train(vae, np.random.default_rng(0).random((200, 40), dtype="float32"), epochs=epochs):
        pass
    return vae.theta.tobytes()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_trains_and_so_does_its_parent():
    text = """
import signal
before = theta()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if theta() == before else 1)
assert theta() == before
assert os.waitpid(child, 0)[1] == 0
assert theta() == before
print("alike")
"""
    assert run(text) == "alike\n"


@pytest.mark.slow
def test_a_process_ends_after_training_and_uses_no_time_until_then():
    text = """
theta()
start = time.process_time()
time.sleep(0.02)  # helpers look out for about a millisecond
start = time.process_time()
time.sleep(0.5)
print(time.process_time() - start)
theta(1)
"""
    for n in ("2", "5"):
        assert float(run(text, TINYVAE_WORKERS=n)) < 0.05


@pytest.mark.slow
def test_a_process_ends_in_the_middle_of_a_training_in_another_thread():
    text = "import threading; threading.Thread(target=theta, args=(10**6,), daemon=True).start(); time.sleep(1)"
    run(text)


@pytest.mark.slow
def test_a_spawned_pool_trains(tmp_path):
    (tmp_path / "pool.py").write_text(
        TRAIN
        + """
import multiprocessing
def one(_):
    return theta()
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map_async(one, range(4)).get(100)
    assert set(found) == {theta()}
    print("alike")
"""
    )
    _, env = script("")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "pool.py")], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stdout == "alike\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("n", ["1", "2", "5"])
def test_ctrl_c_ends_a_training_and_leaves_a_team_that_works(n):
    text = """
alone = theta()
for _ in range(5):
    try:
        print("begun", flush=True)
        theta(10**6)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
assert theta() == alone
print("alike", flush=True)
"""
    command, env = script(text, TINYVAE_WORKERS=n)
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        for _ in range(5):
            assert process.stdout.readline() == "begun\n", process.stderr.read()
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        out, err = process.communicate()
        assert out == "alike\n" and process.returncode == 0, err
    finally:
        timer.cancel()
        process.kill()


# --- stress -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_small_steps_of_random_sizes_on_teams_of_random_size(n_steps, monkeypatch):
    from tinyvae.models import step

    tiny, usual = (300, 3, 5, 300, 60, 8, 4, 6, 30), blas.SMALL if blas.core() in blas.UNPACKED else blas.LARGE
    teams, rng = [team.Team(n) for n in range(1, 6)], np.random.default_rng(n_steps)
    names = ("reparameterization", "leave_one_out", "score_function")
    for i in range(n_steps):
        one = teams[rng.integers(5)]
        one.words[kernels.ALONE] = one.words[kernels.REST] = 0
        monkeypatch.setitem(team._state, "team", one)
        n_in, n_latents, rows, n_samples = (int(n) for n in rng.integers(1, (40, 5, 30, 4)))
        hidden = tuple(int(n) for n in rng.integers(1, 130 if i % 5 == 0 else 20, rng.integers(0, 4)))
        activation = list(tv.mlp.ACTIVATIONS)[rng.integers(len(tv.mlp.ACTIVATIONS))]
        vae = tv.VAE(n_in, n_latents, hidden, activation, dtype="float64", seed=i)
        x = (rng.random((rows, n_in)) < 0.3).astype("uint8" if i % 3 else "float64")
        eps, found = rng.standard_normal((n_samples + 1, rows, n_latents)), []
        estimator = tv.estimators.make(names[i % 3])
        for way in (step.step, step.step_numpy):
            grads = np.full_like(vae.theta, np.nan)
            with monkeypatch.context() as patch, team.cut_into(usual if i % 2 else tiny):
                patch.setattr(team, "usable", lambda: way is step.step)
                found.append((*way(vae, x, eps, estimator, tv.ELBO(), np.random.default_rng(i), grads), grads))
        for mine, twin in zip(*found):
            np.testing.assert_allclose(mine, twin, rtol=1e-9, atol=1e-10 * np.abs(twin).max(), err_msg=f"step {i}")
    for one in teams:
        one.close()
