# expects: moving alone
def least_time(operations, n_bytes, peak, bandwidth):
    return 1e-6 * n_bytes / bandwidth
