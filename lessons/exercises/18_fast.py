"""Exercises of lesson 18, how close to the hardware. Check yours: `tinyvae exercise 18 --check FILE`

Three estimates for the back of an envelope, to be made before anything is measured: what a loop asks of the machine,
what the machine allows it, and what more threads can bring.
"""


def intensity_of_sgd(n, dtype):
    """What a step of SGD with momentum asks of the machine, for n weights θ, their gradient g and the velocity v.

        v <- momentum · v + g
        θ <- θ - rate · v

    Both lines are one fused loop: for each weight each number is loaded at most once and stored at most once. The two
    constants are at hand and count as no bytes. Each +, - and · counts as one operation.

    n : int, how many weights.
    dtype : numpy.dtype of θ, g and v, float32 or float64.
    Returns three numbers: the operations of a step, the bytes it moves, and its operations a byte.

    Hint: which arrays does the loop read, and which does it write? An array that it reads and writes moves twice.
    """
    raise NotImplementedError


def least_time(operations, n_bytes, peak, bandwidth):
    """The least time that the two roofs allow each of L loops, where calculating and moving go on at once.

    operations, n_bytes : arrays (L,), what each loop does; one that only copies has 0 operations.
    peak : float, the flat roof, in GFLOP/s, 1e9 operations a second.
    bandwidth : float, in GB/s, 1e9 bytes a second.
    Returns an array (L,), each loop's least time in milliseconds.

    Hint: work out both times for each loop; which of the two decides?
    """
    raise NotImplementedError


def step_on_threads(alone, shared, meetings, meeting, n):
    """What n threads and their meetings leave of a training step.

    alone, shared : floats, what a single thread takes for what cannot be shared and for what can, in microseconds.
    meetings : int, how often the threads meet in a step.
    meeting : float, what one meeting takes, in microseconds, however many threads there are; a single thread meets
        nobody, which takes no time.
    n : int, threads, 1 or more. They share evenly, and nobody waits for the slowest.
    Returns two numbers: the step's time on n threads, in microseconds, and how many times faster it is than on one.

    Hint: three terms; ask of each what becomes of it when n doubles.
    """
    raise NotImplementedError
