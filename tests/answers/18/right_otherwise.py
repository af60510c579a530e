import numpy as np


def intensity_of_sgd(n, dtype):
    one = np.zeros((), dtype)
    read, written = 3 * one.nbytes, 2 * one.nbytes
    return np.array([4.0 * n, n * (read + written), 4 / (read + written)])


def least_time(operations, n_bytes, peak, bandwidth):
    times = []
    for flops, moved in zip(operations, n_bytes):
        if flops == 0:
            times.append(moved / bandwidth / 1e6)
        else:
            times.append(flops / min(peak, flops / moved * bandwidth) * 1e-6)
    return times


def step_on_threads(alone, shared, meetings, meeting, n):
    if n == 1:
        return [np.float32(alone + shared), 1]
    time = np.float32(alone) + np.float32(shared) / n + meetings * np.float32(meeting)
    return [time, (alone + shared) / time]
