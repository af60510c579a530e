# expects: as if it were logvar
import numpy as np


def sampling_backward(rho, eps, dz):
    return dz.sum(axis=0), (dz * eps).sum(axis=0) * np.exp(rho / 2) / 2
