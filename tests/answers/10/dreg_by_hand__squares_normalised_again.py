# expects: normalised again
import numpy as np


def dreg_by_hand(losses, slopes, sigma, eps):
    w = np.exp(losses.min(axis=0) - losses)  # S, B
    weights = w**2 / (w**2).sum(axis=0)  # S, B
    dmu = weights[..., None] * slopes  # S, B, K
    return dmu.sum(axis=0), (dmu * eps * sigma / 2).sum(axis=0)
