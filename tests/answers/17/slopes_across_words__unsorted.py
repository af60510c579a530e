# expects: the words come in any order
import numpy as np


def slopes_across_words(words, a, f, slope_of_f):
    below = 1 / (1 + np.exp(a - (words[1:] + words[:-1]) / 2))
    mass = np.diff(np.concatenate([[0], below, [1]]))
    return (below * (1 - below)) @ np.diff(f(words)), mass @ slope_of_f(words)
