# expects: without a look at x: what is observed
import numpy as np


def conditional_gaussian(mean, cov, x):
    h = np.isnan(x)
    gain = np.linalg.solve(cov[np.ix_(~h, ~h)], cov[np.ix_(~h, h)]).T
    return mean[h] + gain @ (x[~h] - mean[~h]), cov[np.ix_(h, h)]
