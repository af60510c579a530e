import numpy as np


def plane_angle(A, B):
    P = np.linalg.svd(A, full_matrices=False)[0]
    Q = np.linalg.svd(B, full_matrices=False)[0]
    cosine = np.linalg.svd(Q.T @ P, compute_uv=False).min()
    return np.array(np.arccos(np.clip(cosine, 0, 1)))


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    mu, logvar, eps, dz = (np.asarray(a, "float32") for a in (mu, logvar, eps, dz))
    n = mu.shape[0]
    var = np.exp(logvar)
    by_sigma = dz * eps + beta / n * (np.sqrt(var) - 1 / np.sqrt(var))
    dlogvar = by_sigma * np.sqrt(var) * 0.5
    dz += beta * mu / n
    return dz.tolist(), dlogvar.tolist()


def best_ratio(v, s):
    if s * s >= v:
        return 0
    r = np.geomspace(1e-3, 1e3, 2001)
    for _ in range(6):
        loss = v / (2 * s * s) / (1 + r * r) + 0.5 * np.log1p(r * r)
        i = min(max(int(loss.argmin()), 1), len(r) - 2)
        r = np.linspace(r[i - 1], r[i + 1], 2001)
    low, high = r[0], r[-1]
    for _ in range(100):
        middle = (low + high) / 2
        slope = -v / (s * s) / (1 + middle**2) ** 2 + 1 / (1 + middle**2)
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float(low)
