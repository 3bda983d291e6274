"""Small rigid-body helpers; rotations as 3x3 matrices, twists as (linear, angular) in base axes."""

import math

import numpy as np


def rotation_vector(R: np.ndarray) -> np.ndarray:
    """Axis times angle [rad], shape (3,), of a rotation matrix (3, 3); angle below pi."""
    skew = np.array((R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1])) * 0.5
    sine = math.sqrt(skew @ skew)
    if sine < 1e-12:
        return skew
    return skew * (math.atan2(sine, (R[0, 0] + R[1, 1] + R[2, 2] - 1.0) * 0.5) / sine)


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) about `vector` (3,) by its length [rad] (Rodrigues)."""
    angle = math.sqrt(vector @ vector)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    K = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
    return np.eye(3) + math.sin(angle) * K + (1.0 - math.cos(angle)) * (K @ K)


def pose_error(T_goal: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Displacement (6,) from `T` to `T_goal`: translation [m] and rotation vector [rad], base axes."""
    error = np.empty(6)
    error[:3] = T_goal[:3, 3] - T[:3, 3]
    error[3:] = rotation_vector(T_goal[:3, :3] @ T[:3, :3].T)
    return error


def is_transform(T: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether (4, 4) is a rigid transform: finite, last row (0, 0, 0, 1), rotation orthonormal and right-handed."""
    if not np.all(np.isfinite(T)) or np.any(np.abs(T[3] - (0.0, 0.0, 0.0, 1.0)) > tolerance):
        return False
    R = T[:3, :3]
    return bool(np.all(np.abs(R @ R.T - np.eye(3)) < tolerance) and np.linalg.det(R) > 0.0)
