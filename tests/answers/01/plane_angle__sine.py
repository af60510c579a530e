# expects: sine of the angle
import numpy as np


def plane_angle(A, B):
    P, Q = np.linalg.qr(A)[0], np.linalg.qr(B)[0]
    return np.linalg.norm(Q - P @ (P.T @ Q), 2)
