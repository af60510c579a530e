# expects: infinite codes
import numpy as np


def equal_mass_codes(quantile, n_side):
    side = quantile(np.linspace(0, 1, n_side))
    across, up = np.meshgrid(side, side[::-1])
    return np.stack([across.ravel(), up.ravel()], axis=1)
