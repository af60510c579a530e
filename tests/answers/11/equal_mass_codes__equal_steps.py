# expects: equal in z
import numpy as np


def equal_mass_codes(quantile, n_side):
    side = np.linspace(quantile(0.5 / n_side), quantile(1 - 0.5 / n_side), n_side)
    across, up = np.meshgrid(side, side[::-1])
    return np.stack([across.ravel(), up.ravel()], axis=1)
