# expects: tangent only


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    moved = sigma * eps
    return (f(mu + moved) - f(mu) - slope(mu) * moved) * eps / sigma + slope(mu)
