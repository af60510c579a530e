# expects: those of two arrays
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 2 * n * dtype.itemsize
    return operations, moved, operations / moved
