# expects: inverse of the block
import numpy as np


def conditional_gaussian(mean, cov, x):
    h = np.isnan(x)
    gain = cov[np.ix_(h, ~h)] @ np.linalg.inv(cov)[np.ix_(~h, ~h)]
    return mean[h] + gain @ (x[~h] - mean[~h]), cov[np.ix_(h, h)] - gain @ cov[np.ix_(~h, h)]
