# expects: some hundreds, the loss is not finite
import numpy as np


def continuous_bernoulli(logits, x):
    near = np.abs(logits) < 1e-3
    l = np.where(near, 1.0, logits)
    with np.errstate(all="ignore"):
        losses = np.where(near, logits / 2, np.log(np.expm1(l) / l)) - logits * x
        return losses.sum(axis=1), np.where(near, 0.5 + logits / 12, 1 / (1 - np.exp(-l)) - 1 / l) - x
