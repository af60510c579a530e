# expects: smallest angle
import numpy as np


def plane_angle(A, B):
    P, Q = np.linalg.qr(A)[0], np.linalg.qr(B)[0]
    return np.arccos(min(1.0, np.linalg.norm(P.T @ Q, 2)))
