# expects: knows its own f


def slope_from_the_others(f, eps, sigma):
    b = f.mean(axis=0)
    beta = ((f - b) * eps).mean(axis=0) / sigma
    return (f - b - beta * sigma * eps) * eps / sigma + beta
