# expects: operations are off by 25% for
def intensity_of_sgd(n, dtype):
    operations = 5 * n
    moved = 5 * n * dtype.itemsize
    return operations, moved, operations / moved
