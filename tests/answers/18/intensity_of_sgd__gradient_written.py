# expects: those of six arrays
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 6 * n * dtype.itemsize
    return operations, moved, operations / moved
