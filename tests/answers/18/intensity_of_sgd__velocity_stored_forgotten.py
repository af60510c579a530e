# expects: those of four arrays
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 4 * n * dtype.itemsize
    return operations, moved, operations / moved
