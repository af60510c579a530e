# expects: three a weight
def intensity_of_sgd(n, dtype):
    operations = 3 * n
    moved = 5 * n * dtype.itemsize
    return operations, moved, operations / moved
