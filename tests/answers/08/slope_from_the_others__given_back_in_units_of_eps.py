# expects: is beta for z, or for eps


def slope_from_the_others(f, eps, sigma):
    n = len(f)
    b = (f.sum(axis=0) - f) / (n - 1)
    product = f * eps
    beta = (product.sum(axis=0) - product) / (n - 2) - b * (eps.sum(axis=0) - eps) / (n - 2)
    return (f - b - beta * eps) * eps / sigma + beta
