# expects: are bits
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 5 * n * dtype.itemsize * 8
    return operations, moved, operations / moved
