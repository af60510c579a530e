# expects: not given back


def slope_from_the_others(f, eps, sigma):
    n = len(f)
    b = (f.sum(axis=0) - f) / (n - 1)
    product = f * eps
    beta = (product.sum(axis=0) - product) / (n - 1) - b * (eps.sum(axis=0) - eps) / (n - 1)
    return (f - b - beta * eps * (n - 1) / (n - 2)) * eps / sigma
