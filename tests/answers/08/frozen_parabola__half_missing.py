# expects: bend enters twice


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    moved = sigma * eps
    rest = f(mu + moved) - f(mu) - slope(mu) * moved - bend(mu) * moved**2
    return rest * eps / sigma + slope(mu)
