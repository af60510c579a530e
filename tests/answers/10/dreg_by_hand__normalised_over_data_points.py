# expects: over the data points
import numpy as np


def dreg_by_hand(losses, slopes, sigma, eps):
    w = np.exp(losses.min(axis=1, keepdims=True) - losses)  # S, B
    weights = (w / w.sum(axis=1, keepdims=True)) ** 2  # S, B
    dmu = weights[..., None] * slopes  # S, B, K
    return dmu.sum(axis=0), (dmu * eps * sigma / 2).sum(axis=0)
