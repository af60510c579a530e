# expects: through c|coefficients


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    moved = sigma * eps
    rest = f(mu + moved) - f(mu) - slope(mu) * moved - bend(mu) * moved**2 / 2
    third = (bend(mu + 1e-4) - bend(mu - 1e-4)) / 2e-4
    return rest * eps / sigma + slope(mu) + third * sigma**2 / 2
