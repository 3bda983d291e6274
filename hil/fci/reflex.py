"""Contact and collision: external torque and wrench against the thresholds that the client set.

Lower thresholds report contact as long as it lasts; upper ones are a collision, which latches and stops the robot until
recovery (franka/robot_state.h). The thresholds of acceleration phases hold while the reference accelerates.
"""

import math

import numpy as np

from hil.fci.errors import ErrorFlag
from hil.fci.protocol import CollisionThresholds

# Thresholds of a robot no client has set yet (libfranka's examples, setDefaultBehavior).
DEFAULT_THRESHOLDS = CollisionThresholds.uniform(torque_nm=20.0, force_n=20.0)
ACCELERATING_RAD_S2 = 0.5  # a reference faster changing than this is in an acceleration phase (ours)
FILTER_HZ = 50.0  # first-order low-pass of the estimate; the robot's own is not public
_BLEND = 1.0 - math.exp(-2.0 * math.pi * FILTER_HZ * 1e-3)


class CollisionDetector:
    """Filters the external torque (7,) and wrench (6,), keeps the contact and collision levels of the state packet."""

    def __init__(self) -> None:
        self.thresholds = DEFAULT_THRESHOLDS
        self.tau_ext = np.zeros(7)
        self.wrench = np.zeros(6)
        self.joint_contact = np.zeros(7)
        self.cartesian_contact = np.zeros(6)
        self.joint_collision = np.zeros(7)
        self.cartesian_collision = np.zeros(6)

    def update(self, tau_ext: np.ndarray, wrench: np.ndarray, accelerating: bool) -> ErrorFlag | None:
        """One millisecond. Returns the reflex that a collision of this millisecond raises, or None."""
        self.tau_ext += _BLEND * (tau_ext - self.tau_ext)
        self.wrench += _BLEND * (wrench - self.wrench)
        limits = self.thresholds
        torque, force = np.abs(self.tau_ext), np.abs(self.wrench)
        if accelerating:
            lower_torque, upper_torque = limits.lower_torque_acceleration, limits.upper_torque_acceleration
            lower_force, upper_force = limits.lower_force_acceleration, limits.upper_force_acceleration
        else:
            lower_torque, upper_torque = limits.lower_torque_nominal, limits.upper_torque_nominal
            lower_force, upper_force = limits.lower_force_nominal, limits.upper_force_nominal
        self.joint_contact = (torque > lower_torque).astype(float)
        self.cartesian_contact = (force > lower_force).astype(float)
        joint, cartesian = torque > upper_torque, force > upper_force
        flag = None
        if cartesian.any():
            np.maximum(self.cartesian_collision, cartesian, out=self.cartesian_collision)
            flag = ErrorFlag.CARTESIAN_REFLEX
        if joint.any():
            np.maximum(self.joint_collision, joint, out=self.joint_collision)
            flag = ErrorFlag.JOINT_REFLEX
        return flag

    def reset(self) -> None:
        """Forget latched collisions: what automatic error recovery does."""
        self.joint_collision = np.zeros(7)
        self.cartesian_collision = np.zeros(6)
