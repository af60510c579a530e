# expects: another width
import numpy as np


def equal_mass_codes(quantile, n_side):
    side = quantile(np.arange(1, n_side + 1) / (n_side + 1))
    across, up = np.meshgrid(side, side[::-1])
    return np.stack([across.ravel(), up.ravel()], axis=1)
