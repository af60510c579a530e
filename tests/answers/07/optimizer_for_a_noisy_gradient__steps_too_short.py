# expects: on its way down
import tinyvae as tv


def optimizer_for_a_noisy_gradient():
    return tv.Adam(5e-4)
