# expects: same optimizer twice
import tinyvae as tv

ADAM = tv.Adam(3e-3)


def optimizer_for_a_noisy_gradient():
    return ADAM
