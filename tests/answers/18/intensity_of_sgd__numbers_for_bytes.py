# expects: numbers, not bytes
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 5 * n
    return operations, moved, operations / moved
