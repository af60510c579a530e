# expects: is None
import tinyvae as tv


def optimizer_for_a_noisy_gradient():
    tv.Adam(3e-3)
