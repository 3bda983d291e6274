"""Rigid transforms of the cell file as matrices, and how far two of them are apart."""

import math

import numpy as np

from runtime.cell import Pose


def pose_matrix(pose: Pose) -> np.ndarray:
    """T (4, 4) of a cell file's pose: translation [m], roll-pitch-yaw about fixed axes x, y, z [rad]."""
    roll, pitch, yaw = pose.rpy_rad
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(angle), math.cos(angle)) for angle in (roll, pitch, yaw))
    T = np.eye(4)
    T[:3, :3] = (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )
    T[:3, 3] = pose.xyz_m
    return T


def pose_distance(T_a: np.ndarray, T_b: np.ndarray) -> tuple[float, float]:
    """Distance [m] and angle [rad] between two rigid transforms (4, 4)."""
    R = T_a[:3, :3].T @ T_b[:3, :3]
    sine = math.hypot(R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]) / 2.0
    # atan2 keeps its digits near 0, where the arc cosine of a rounded trace loses half of them.
    return float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3])), math.atan2(sine, (float(np.trace(R)) - 1.0) / 2.0)


def pose_text(T: np.ndarray) -> str:
    """A transform for people: translation [mm] and roll-pitch-yaw [deg]."""
    R = T[:3, :3]
    pitch = math.atan2(-R[2, 0], math.hypot(R[0, 0], R[1, 0]))
    roll, yaw = math.atan2(R[2, 1], R[2, 2]), math.atan2(R[1, 0], R[0, 0])
    millimetres = ", ".join(f"{1e3 * value:.1f}" for value in T[:3, 3])
    degrees = ", ".join(f"{math.degrees(value):.1f}" for value in (roll, pitch, yaw))
    return f"xyz ({millimetres}) mm, rpy ({degrees}) deg"


def is_rigid(T: np.ndarray, tolerance: float = 1e-3) -> bool:
    """True for a finite (4, 4) matrix whose rotation is orthonormal and right-handed within `tolerance`."""
    if not np.isfinite(T).all() or np.abs(T[3] - (0.0, 0.0, 0.0, 1.0)).max() > tolerance:
        return False
    R = T[:3, :3]
    return float(np.abs(R @ R.T - np.eye(3)).max()) <= tolerance and float(np.linalg.det(R)) > 0.0
