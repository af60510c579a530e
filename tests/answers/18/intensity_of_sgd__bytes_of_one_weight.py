# expects: bytes are those of a single weight
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 5 * dtype.itemsize
    return operations, moved, 4 * n / moved
