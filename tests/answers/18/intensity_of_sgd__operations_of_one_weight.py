# expects: operations are those of a single weight
def intensity_of_sgd(n, dtype):
    operations = 4
    moved = 5 * n * dtype.itemsize
    return operations, moved, operations / moved
