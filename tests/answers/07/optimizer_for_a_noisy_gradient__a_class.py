# expects: it is the class Adam
import tinyvae as tv


def optimizer_for_a_noisy_gradient():
    return tv.Adam
