# expects: score of z for mu is not eps


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    moved = sigma * eps
    rest = f(mu + moved) - f(mu) - slope(mu) * moved - bend(mu) * moved**2 / 2
    return rest * eps + slope(mu)
