# expects: not subtracted
import numpy as np


def conditional_gaussian(mean, cov, x):
    h = np.isnan(x)
    gain = np.linalg.solve(cov[np.ix_(~h, ~h)], cov[np.ix_(~h, h)]).T
    return mean[h] + gain @ x[~h], cov[np.ix_(h, h)] - gain @ cov[np.ix_(~h, h)]
