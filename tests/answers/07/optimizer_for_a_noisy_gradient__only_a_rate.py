# expects: of type float


def optimizer_for_a_noisy_gradient():
    return 3e-3
