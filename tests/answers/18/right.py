import numpy as np


def intensity_of_sgd(n, dtype):
    operations = 4 * n  # two in each line
    moved = 5 * n * dtype.itemsize  # θ, g and v are read, v and θ written
    return operations, moved, operations / moved


def least_time(operations, n_bytes, peak, bandwidth):
    return 1e3 * np.maximum(operations / (1e9 * peak), n_bytes / (1e9 * bandwidth))


def step_on_threads(alone, shared, meetings, meeting, n):
    time = alone + shared / n + (meetings * meeting if n > 1 else 0)
    return time, (alone + shared) / time
