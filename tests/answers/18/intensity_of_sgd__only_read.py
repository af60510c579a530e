# expects: those of three arrays
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 3 * n * dtype.itemsize
    return operations, moved, operations / moved
