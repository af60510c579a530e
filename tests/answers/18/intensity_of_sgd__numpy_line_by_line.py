# expects: for each operator
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 10 * n * dtype.itemsize
    return operations, moved, operations / moved
