# expects: no eps
import numpy as np


def sampling_backward(rho, eps, dz):
    return dz.sum(axis=0), dz.sum(axis=0) / (1 + np.exp(-rho))
