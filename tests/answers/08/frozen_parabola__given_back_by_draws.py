# expects: is drawn


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    moved = sigma * eps
    parabola = f(mu) + slope(mu) * moved + bend(mu) * moved**2 / 2
    return (f(mu + moved) - parabola) * eps / sigma + slope(mu) + bend(mu) * moved
