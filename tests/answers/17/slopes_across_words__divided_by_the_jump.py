# expects: each jump is divided by its length
import numpy as np


def slopes_across_words(words, a, f, slope_of_f):
    words = np.sort(words)
    below = 1 / (1 + np.exp(a - (words[1:] + words[:-1]) / 2))
    mass = np.diff(np.concatenate([[0], below, [1]]))
    return (below * (1 - below)) @ (np.diff(f(words)) / np.diff(words)), mass @ slope_of_f(words)
