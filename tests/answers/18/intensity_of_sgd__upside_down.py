# expects: upside down
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 5 * n * dtype.itemsize
    return operations, moved, moved / operations
