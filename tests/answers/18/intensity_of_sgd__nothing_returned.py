# expects: None.*return
def intensity_of_sgd(n, dtype):
    operations, moved = 4 * n, 5 * n * dtype.itemsize
    print(operations / moved)
