"""One hand in the emulated world: two coupled fingers driven to a width with limited speed and force."""

import mujoco
import numpy as np

from hil.scenes.arm_mjcf import FINGER_KP_N_M, FINGER_KV_N_S_M
from hil.scenes.fr3 import FINGER_STROKE_M, MAX_WIDTH_M

MAX_FORCE_N = 140.0  # the Franka Hand's data sheet; 70 N continuous
MAX_SPEED_M_S = 0.2  # of the width: twice the data sheet's 0.1 m/s, so that the server's refusal comes first
_TOUCH_N = 1.0  # a finger that presses less than this is free


class HandPlant:
    """A hand of the world. Widths are between the fingertips [m], forces per finger [N]."""

    max_width_m = MAX_WIDTH_M

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, contact_torque: np.ndarray, name: str) -> None:
        self.name = name
        joints = [model.joint(f"hand.{name}.finger{number}") for number in (1, 2)]
        self._model, self._data = model, data
        self._q = [int(joint.qposadr[0]) for joint in joints]
        self._v = [int(joint.dofadr[0]) for joint in joints]
        self._servos = [model.actuator(f"hand.{name}.finger{number}").id for number in (1, 2)]
        self._contact_torque = contact_torque
        for address in self._q:
            data.qpos[address] = FINGER_STROKE_M
        self._command_m = MAX_WIDTH_M
        self.set_target(MAX_WIDTH_M, 0.05, 20.0)

    @property
    def width_m(self) -> float:
        return float(self._data.qpos[self._q[0]] + self._data.qpos[self._q[1]])

    @property
    def grip_force_n(self) -> float:
        """What each finger presses with on whatever is between (or, opening, outside) them; 0 unless both do."""
        one, other = (float(self._contact_torque[dof]) for dof in self._v)
        if one * other <= 0:
            return 0.0
        return min(abs(one), abs(other))

    @property
    def blocked(self) -> bool:
        """Both fingers press on something, by contact force. Fingers closed on each other press on nothing."""
        return self.grip_force_n > _TOUCH_N

    def set_target(self, width_m: float, speed_m_s: float, force_n: float) -> None:
        """Drive to a width at a speed of the width, pressing with at most `force_n`; held until the next call.

        Raises:
            ValueError: a value that is not finite, or a speed or force that is not positive.
        """
        if not np.isfinite([width_m, speed_m_s, force_n]).all() or speed_m_s <= 0 or force_n <= 0:
            raise ValueError(f"hand '{self.name}': width {width_m} m, speed {speed_m_s} m/s, force {force_n} N")
        self._target_m = min(max(width_m, 0.0), MAX_WIDTH_M)
        self._speed_m_s, force = min(speed_m_s, MAX_SPEED_M_S), min(force_n, MAX_FORCE_N)
        self._model.actuator_forcerange[self._servos] = (-force, force)
        # How far the servo's command may run ahead of blocked fingers: enough for the full force, no more, so that the
        # hand turns round at once.
        self._lead_m = 2 * force / FINGER_KP_N_M + FINGER_KV_N_S_M * self._speed_m_s / FINGER_KP_N_M

    def stop(self) -> None:
        """Stay as it is: a hand that holds something goes on holding it."""
        self._target_m = self._command_m

    def before_step(self) -> None:
        """Move the servo command on by one millisecond (called by `World.step`)."""
        reach = self._speed_m_s * 1e-3
        width = self._command_m + min(max(self._target_m - self._command_m, -reach), reach)
        actual = self.width_m
        self._command_m = min(max(width, actual - self._lead_m), actual + self._lead_m)
        self._data.ctrl[self._servos] = self._command_m / 2
