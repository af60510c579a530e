# expects: mean over samples
import numpy as np


def dreg_by_hand(losses, slopes, sigma, eps):
    w = np.exp(losses.min(axis=0) - losses)  # S, B
    weights = (w / w.sum(axis=0)) ** 2  # S, B
    dmu = weights[..., None] * slopes  # S, B, K
    return dmu.mean(axis=0), (dmu * eps * sigma / 2).mean(axis=0)
