import math

import numpy as np


def rate_distortion_information(v, a, s, w, t):
    x = np.sqrt(v) * np.polynomial.hermite_e.hermegauss(8)[0]
    weights = np.polynomial.hermite_e.hermegauss(8)[1] / np.sqrt(2 * np.pi)
    rate = weights @ (0.5 * ((a * x) ** 2 + s * s - 1)) - math.log(s)
    errors = weights @ ((x - w * a * x) ** 2) + w * w * s * s
    total = np.float32(v * a * a + s * s)
    return [np.float32(rate), math.log(t * math.sqrt(2 * math.pi)) + errors / 2 / t**2, 0.5 * np.log(total) - np.log(s)]


def best_code(x, beta, w, t):
    noise = beta * t * t  # the power divides the likelihood's precision by beta
    mu = x * w / (w * w + noise)
    variance = noise / (w * w + noise)
    # beta log Z, with Z a Gaussian integral
    log_z = -0.5 * (x * x / (w * w + noise)) - 0.5 * math.log(2 * math.pi * (w * w + noise))
    log_z += 0.5 * math.log(2 * math.pi * noise) - math.log(2 * math.pi * t * t) / (2 * beta)
    return np.array([mu, math.sqrt(variance), beta * log_z])


def least_distortion(x, p, q):
    total = 0
    for z in range(len(q[0])):
        for d in range(len(x[0])):
            joint = [sum(p[i] * q[i][z] for i in range(len(x)) if x[i][d] == bit) for bit in (0, 1)]
            total += sum(one * math.log(sum(joint) / one) for one in joint if one > 0)
    return total
