# expects: that for log σ
import numpy as np


def dreg_by_hand(losses, slopes, sigma, eps):
    w = np.exp(losses.min(axis=0) - losses)  # S, B
    weights = (w / w.sum(axis=0)) ** 2  # S, B
    dmu = weights[..., None] * slopes  # S, B, K
    return dmu.sum(axis=0), (dmu * eps * sigma).sum(axis=0)
