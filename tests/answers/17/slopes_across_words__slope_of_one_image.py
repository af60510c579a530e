# expects: the truth: that is 0, the slope of a single image's loss
import numpy as np


def slopes_across_words(words, a, f, slope_of_f):
    words = np.sort(words)
    mass = np.diff(np.concatenate([[0], 1 / (1 + np.exp(a - (words[1:] + words[:-1]) / 2)), [1]]))
    return 0.0, mass @ slope_of_f(words)
