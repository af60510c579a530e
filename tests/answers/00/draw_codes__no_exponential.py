# expects: multiplied by log σ itself


def draw_codes(mu, log_sigma, eps):
    return mu + log_sigma * eps
