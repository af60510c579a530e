# expects: noise held

import numpy as np


def conditional_path(slope, logit, temperature, eps):
    odds = logit + np.log(eps / (1 - eps))
    y = 1 / (1 + np.exp(-odds / temperature))
    return slope(y) * y * (1 - y) / temperature
