# expects: straight through: all words count alike
import numpy as np


def slopes_across_words(words, a, f, slope_of_f):
    words = np.sort(words)
    below = 1 / (1 + np.exp(a - (words[1:] + words[:-1]) / 2))
    return (below * (1 - below)) @ np.diff(f(words)), slope_of_f(words).mean()
