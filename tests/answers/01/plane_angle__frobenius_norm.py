# expects: matrix norm
import numpy as np


def plane_angle(A, B):
    P, Q = np.linalg.qr(A)[0], np.linalg.qr(B)[0]
    return np.arcsin(min(1.0, np.linalg.norm(Q - P @ (P.T @ Q))))
