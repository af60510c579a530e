# expects: between two columns
import numpy as np


def plane_angle(A, B):
    a, b = A[:, 0], B[:, 0]
    return np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
