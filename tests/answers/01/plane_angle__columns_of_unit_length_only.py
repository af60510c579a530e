# expects: orthonormal
import numpy as np


def plane_angle(A, B):
    A, B = A / np.linalg.norm(A, axis=0), B / np.linalg.norm(B, axis=0)
    return np.arcsin(min(1.0, np.linalg.norm(B - A @ (A.T @ B), 2)))
