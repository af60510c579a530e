# expects: z_2 grows from top to bottom
import numpy as np


def equal_mass_codes(quantile, n_side):
    side = quantile((np.arange(n_side) + 0.5) / n_side)
    across, up = np.meshgrid(side, side)
    return np.stack([across.ravel(), up.ravel()], axis=1)
