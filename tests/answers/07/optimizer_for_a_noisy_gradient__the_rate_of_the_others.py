# expects: long steps
import tinyvae as tv


def optimizer_for_a_noisy_gradient():
    return tv.Adam(1e-2)
