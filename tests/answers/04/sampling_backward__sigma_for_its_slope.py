# expects: has sigma where its slope
import numpy as np


def sampling_backward(rho, eps, dz):
    return dz.sum(axis=0), (dz * eps).sum(axis=0) * np.log1p(np.exp(rho))
