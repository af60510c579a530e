# expects: 2 parts


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    return (dz + beta * mu / len(mu),)
