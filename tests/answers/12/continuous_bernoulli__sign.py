# expects: the sign is wrong: that is the log-density
import numpy as np


def continuous_bernoulli(logits, x):
    return (logits * x - np.log(np.expm1(logits) / logits)).sum(axis=1), 1 / (1 - np.exp(-logits)) - 1 / logits - x
