import math


def softplus_backward(x, W, b, dy):
    """Loops and lists, no NumPy; writes into its arguments."""
    rows, n, m = len(x), len(W), len(b)
    for r in range(rows):
        for j in range(m):
            a = b[j] + sum(x[r][i] * W[i][j] for i in range(n))
            dy[r][j] *= 1 / (1 + math.exp(-a)) if a > 0 else math.exp(a) / (1 + math.exp(a))
    dx = [[sum(dy[r][j] * W[i][j] for j in range(m)) for i in range(n)] for r in range(rows)]
    dW = [[sum(x[r][i] * dy[r][j] for r in range(rows)) for j in range(m)] for i in range(n)]
    return [dx, dW, [sum(dy[r][j] for r in range(rows)) for j in range(m)]]


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    """In float32, by expm1 and the odd part of the sigmoid."""
    import numpy as np

    logits, x, mu, logvar = (np.asarray(array, "float32") for array in (logits, x, mu, logvar))
    n_samples, n_points = logits.shape[:2]
    p = np.exp(-np.logaddexp(0, -logits))
    weight = np.float32(1 / n_points)
    return (p - x) * weight / n_samples, beta * weight * mu, 0.5 * beta * weight * np.expm1(logvar)


def sampling_backward(rho, eps, dz):
    """One sample after the other; the slope from sigma: 1 - e^-sigma."""
    import numpy as np

    dmu, drho = np.zeros_like(rho), np.zeros_like(rho)
    for one_eps, one_dz in zip(eps, dz):
        dmu += one_dz
        drho -= one_dz * one_eps * np.expm1(-np.log1p(np.exp(rho)))
    return dmu, drho
