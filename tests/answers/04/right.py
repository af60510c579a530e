import numpy as np


def sigmoid(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


def softplus_backward(x, W, b, dy):
    da = dy * sigmoid(x @ W + b)
    return da @ W.T, x.T @ da, da.sum(axis=0)


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    share = logits.shape[0] * logits.shape[1]
    return (sigmoid(logits) - x) / share, beta * mu / len(mu), beta * (np.exp(logvar) - 1) / 2 / len(mu)


def sampling_backward(rho, eps, dz):
    return dz.sum(axis=0), (dz * eps).sum(axis=0) * sigmoid(rho)
