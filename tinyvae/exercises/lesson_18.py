"""Judges of the exercises of lesson 18: estimates of what a loop, a machine and its threads allow."""

import numpy as np

from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["intensity_of_sgd", "least_time", "step_on_threads"]

TOLERANCE = 1e-5  # of the largest number: float32's rounding is no mistake
ARRAYS = {  # how many arrays' bytes each mistake counts
    2: ("two arrays", "go through both lines, and list what is loaded and what is stored"),
    3: ("three arrays, as if each moved once", "is nothing loaded and stored as well?"),
    4: ("four arrays", "one that moves is missing; what is stored, and what is loaded?"),
    6: ("six arrays, one too many", "is each of the three both loaded and stored?"),
    10: ("NumPy's line by line", "it walks over the data for each operator, the fused loop only once"),
}


def intensity_of_sgd(answer):
    """Judge the operations, the bytes and the intensity of SGD with momentum.

    Parameters
    ----------
    answer : callable
        (n, dtype) -> operations, bytes, operations a byte.

    Raises
    ------
    Wrong
        If it is not right.
    """
    for n, kind in ((1000, "float64"), (392_500, "float32"), (123_457, "float64"), (7, "float32")):
        dtype = np.dtype(kind)
        parts = several(call(answer, n, dtype), 3)
        names = "the operations", "the bytes", "the intensity"
        flops, moved, intensity = (float(array(part, (), name)) for part, name in zip(parts, names))
        where = f" for n = {n}, {kind}"
        _judge_operations(flops, n, where)
        _judge_bytes(moved, n, dtype, where)
        expected = _sgd_operations(n) / _sgd_bytes(n, dtype)
        if close(intensity, expected, TOLERANCE):
            continue
        if close(intensity, 1 / expected, TOLERANCE):
            raise Wrong(f"the intensity is upside down{where}: these are bytes an operation")
        raise Wrong(
            f"operations and bytes are right, the intensity is {off(intensity, expected)}{where}: "
            "what has it to do with the two?"
        )


def least_time(answer):
    """Judge the least time that two roofs allow.

    Parameters
    ----------
    answer : callable
        (operations, n_bytes, peak, bandwidth) -> milliseconds (L,).

    Raises
    ------
    Wrong
        If it is not right.
    """
    cases = (
        ([7.84e7, 1e6, 5.2e6], [2.0e6, 4e5, 1.1e7], 90.0, 12.0),
        ([3e9], [2e9], 450.0, 38.5),
        ([1e4, 8e7, 2.5e6, 3.3e8], [4e4, 1e6, 9e6, 5e6], 25.0, 110.0),  # a bandwidth above the peak
    )
    for operations, n_bytes, peak, bandwidth in cases:
        _judge_time(answer, np.array(operations), np.array(n_bytes), peak, bandwidth)
    operations, n_bytes = np.array([0.0, 6e6]), np.array([8e6, 1e6])
    with np.errstate(all="ignore"):
        got = array(call(answer, operations, n_bytes, 60.0, 20.0), (2,), "the result, where a loop only copies,")
    if not close(got, _times(operations, n_bytes, 60.0, 20.0).max(axis=0), TOLERANCE):
        raise Wrong("right for loops that calculate, and wrong for one that only copies, with 0 operations")


def step_on_threads(answer):
    """Judge what threads and their meetings leave of a step.

    Parameters
    ----------
    answer : callable
        (alone, shared, meetings, meeting, n) -> microseconds, how many times faster.

    Raises
    ------
    Wrong
        If it is not right.
    """
    cases = (
        (300.0, 2400.0, 12, 0.5, 2),
        (120.0, 900.0, 7, 3.0, 5),
        (40.0, 95.0, 30, 11.0, 3),  # slower than on one thread
        (250.0, 1000.0, 12, 2.0, 1),
        (0.0, 640.0, 9, 1.5, 8),
    )
    for case in cases:
        parts = several(call(answer, *case), 2)
        names = "the time", "how many times faster it is,"
        _judge_step(*(float(array(part, (), name)) for part, name in zip(parts, names)), *case)


# --- SGD with momentum ------------------------------------------------------------------------------------


def _sgd_operations(n):
    return 4 * n


def _sgd_bytes(n, dtype):
    return 5 * n * dtype.itemsize


def _judge_operations(flops, n, where):
    expected = _sgd_operations(n)
    if close(flops, expected, TOLERANCE):
        return
    if close(flops, expected / n, TOLERANCE) and n > 1:
        raise Wrong(f"the operations are those of a single weight{where}")
    if close(flops, n * 2, TOLERANCE):
        raise Wrong(f"the operations are two a weight{where}: a multiplication counts as much as an addition")
    if close(flops, n * 3, TOLERANCE):
        raise Wrong(f"the operations are three a weight{where}: one is missing; count the signs in both lines again")
    raise Wrong(f"the operations are {off(flops, expected)}{where}: count the signs in both lines")


def _judge_bytes(moved, n, dtype, where):
    expected = _sgd_bytes(n, dtype)
    if close(moved, expected, TOLERANCE):
        return
    size, other = dtype.itemsize, 12 - dtype.itemsize  # 4 and 8
    if close(moved, expected / size, TOLERANCE):
        raise Wrong(f"the bytes are numbers, not bytes{where}: how large is one?")
    if close(moved, 8 * expected, TOLERANCE):
        raise Wrong(f"the bytes are bits{where}")
    if close(moved, expected / n, TOLERANCE):
        raise Wrong(f"the bytes are those of a single weight{where}")
    if close(moved, expected / size * other, TOLERANCE):
        raise Wrong(f"the bytes are those of numbers of {other} bytes{where}: how large is a {dtype}?")
    for count, (those, look) in ARRAYS.items():
        if close(moved, count * n * size, TOLERANCE):
            raise Wrong(f"the bytes are those of {those}{where}: {look}")
    raise Wrong(
        f"the bytes are {off(moved, expected)}{where}: which arrays does the loop read, and which does it write?"
    )


# --- two roofs --------------------------------------------------------------------------------------------


def _times(operations, n_bytes, peak, bandwidth):
    """Milliseconds that calculating and moving take, (2, L)."""
    return 1e-6 * np.array([operations / peak, n_bytes / bandwidth])


def _judge_time(answer, operations, n_bytes, peak, bandwidth):
    both = _times(operations, n_bytes, peak, bandwidth)
    expected, given = both.max(axis=0), (operations, n_bytes, peak, bandwidth)
    got = array(call(answer, *given), expected.shape)
    if close(got, expected, TOLERANCE):
        return
    where = f"for a peak of {peak:g} GFLOP/s and a bandwidth of {bandwidth:g} GB/s"
    rules = {
        "it adds up the time of calculating and that of moving, as if one waited for the other": both.sum(axis=0),
        "it takes the quicker of the two: the loop is not done while the other goes on": both.min(axis=0),
        "it takes the time of calculating alone: bytes have a roof as well": both[0],
        "it takes the time of moving alone: operations have a roof as well": both[1],
        "it takes peak for bandwidth and bandwidth for peak": _times(operations, n_bytes, bandwidth, peak).max(axis=0),
        "it gives operations a second, not a time": np.minimum(peak, bandwidth * operations / n_bytes),
    }
    units = {
        1: "",
        1e-3: "in seconds, not milliseconds",
        1e3: "in microseconds, not milliseconds",
        1e6: "in nanoseconds, not milliseconds: what does a G stand for?",
        1e-6: "a million times too small: what does a G stand for, and how many ms has a second?",
        1e9: "1e9 times too large: what does a G stand for?",
        1.024**-3: "too small, as with a G of 2^30",
    }
    for unit, words in units.items():
        if words and close(got, unit * expected, TOLERANCE):
            raise Wrong(f"{where} the result has the right roof, but it is {words}")
    for unit, words in units.items():
        for rule, value in rules.items():
            if close(got, unit * value, TOLERANCE):
                raise Wrong(f"{where} {rule}{'; and it is ' * bool(words)}{words}")
    raise Wrong(f"{where} the result is {off(got, expected)}: check both times one by one, and their unit")


# --- threads ----------------------------------------------------------------------------------------------


def _judge_step(time, faster, alone, shared, meetings, meeting, n):
    met = meetings * meeting
    expected, single = alone + shared / n + met * (n > 1), alone + shared
    where = f"for alone = {alone:g}, shared = {shared:g}, {meetings} meetings of {meeting:g}, n = {n}"
    if not close(time, expected, TOLERANCE):
        mistakes = {
            "what cannot be shared is divided as well": (alone + shared) / n + met * (n > 1),
            "everything is divided, the meetings too": (alone + shared + met) / n,
            "the meetings are divided: each thread must be at each of them": alone + (shared + met) / n,
            "the meetings are counted once: how many are there in a step?": alone + shared / n + meeting * (n > 1),
            "the meetings are left out": alone + shared / n,
            "the meetings are counted for each thread: do they not wait at the same time?": alone
            + shared / n
            + n * met,
            "the meetings are counted for each other thread: do they not wait at the same time?": (
                alone + shared / n + (n - 1) * met
            ),
            "the meetings are a time less, not more": alone + shared / n - met,
            "what can be shared is not divided": alone + shared + met,
            "what cannot be shared is left out": shared / n + met,
            "it is the time on a single thread": single,
            "the two numbers are in the other order": single / expected,
        }
        if n == 1:
            mistakes = {
                "a single thread meets nobody": single + met,
                "a single thread meets nobody, not once": single + meeting,
            }
        for words, value in mistakes.items():
            if close(time, value, TOLERANCE) and not close(value, expected, TOLERANCE):
                raise Wrong(f"{where} the time is wrong: {words}")
        raise Wrong(f"{where} the time is {off(time, expected)}")
    if close(faster, single / expected, TOLERANCE):
        return
    mistakes = {
        "it is upside down": expected / single,
        "it is compared with a single thread that meets others": (single + met) / expected,
        "meetings are left out of it": single / (alone + shared / n),
        "it is a difference, not a ratio": single - expected,
        "it is the gain less one": single / expected - 1,
        "n threads are not n times as fast": n,
    }
    for words, value in mistakes.items():
        if close(faster, value, TOLERANCE):
            raise Wrong(f"{where} the time is right, how many times faster it is, is not: {words}")
    raise Wrong(f"{where} the time is right, how many times faster it is, is {off(faster, single / expected)}")
