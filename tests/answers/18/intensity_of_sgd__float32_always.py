# expects: numbers of 4 bytes for n = 1000, float64
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 20 * n
    return operations, moved, operations / moved
