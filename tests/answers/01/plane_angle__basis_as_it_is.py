# expects: orthonormal
import numpy as np


def plane_angle(A, B):
    with np.errstate(invalid="ignore"):
        return np.arcsin(np.linalg.norm(B - A @ (A.T @ B), 2))
