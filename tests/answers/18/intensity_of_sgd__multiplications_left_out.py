# expects: a multiplication counts
def intensity_of_sgd(n, dtype):
    operations = 2 * n
    moved = 5 * n * dtype.itemsize
    return operations, moved, operations / moved
