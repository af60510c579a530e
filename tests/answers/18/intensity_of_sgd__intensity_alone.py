# expects: must have 3 parts
def intensity_of_sgd(n, dtype):
    return 4 / (5 * dtype.itemsize)
