# expects: noise.s own move only

import numpy as np


def conditional_path(slope, logit, temperature, eps):
    p = 1 / (1 + np.exp(-logit))
    odds = logit + np.log(eps / (1 - eps))
    y = 1 / (1 + np.exp(-odds / temperature))
    held = np.where(odds > 0, 1 - (1 - p) / eps, 1 - p / (1 - eps))
    return slope(y) * y * (1 - y) / temperature * (held - 1)
