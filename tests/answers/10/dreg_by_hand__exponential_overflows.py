# expects: thousands.*not finite
import numpy as np


def dreg_by_hand(losses, slopes, sigma, eps):
    w = np.exp(-losses)  # S, B
    weights = (w / w.sum(axis=0)) ** 2  # S, B
    dmu = weights[..., None] * slopes  # S, B, K
    return dmu.sum(axis=0), (dmu * eps * sigma / 2).sum(axis=0)
