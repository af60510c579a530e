# expects: adds up.*; and it is in seconds
def least_time(operations, n_bytes, peak, bandwidth):
    calculating, moving = 1e-6 * operations / peak, 1e-6 * n_bytes / bandwidth
    return 1e-3 * (calculating + moving)
