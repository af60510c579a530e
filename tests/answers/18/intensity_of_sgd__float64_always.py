# expects: numbers of 8 bytes for n = .*, float32
def intensity_of_sgd(n, dtype):
    operations = 4 * n
    moved = 40 * n
    return operations, moved, operations / moved
