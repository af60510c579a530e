# expects: slope of f at z

import numpy as np


def conditional_path(slope, logit, temperature, eps):
    p = 1 / (1 + np.exp(-logit))
    odds = logit + np.log(eps / (1 - eps))
    y = 1 / (1 + np.exp(-odds / temperature))
    held = np.where(odds > 0, 1 - (1 - p) / eps, 1 - p / (1 - eps))
    return slope((odds > 0) * 1.0) * y * (1 - y) / temperature * held
