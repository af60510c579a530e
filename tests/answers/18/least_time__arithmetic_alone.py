# expects: calculating alone
def least_time(operations, n_bytes, peak, bandwidth):
    return 1e-6 * operations / peak
