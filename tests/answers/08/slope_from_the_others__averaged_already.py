# expects: has shape


def slope_from_the_others(f, eps, sigma):
    b = (f.sum(axis=0) - f) / (len(f) - 1)
    return ((f - b) * eps / sigma).mean(axis=0)
