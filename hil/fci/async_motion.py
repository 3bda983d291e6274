"""The robot-side generator of a Move with `use_async_motion_generator`: targets may come at any rate.

The client sends joint positions whenever it likes; the robot plans to the newest within the velocity limits given in
the request and its own acceleration and jerk limits. No packet is missed. What the real generator plans is not public.
"""

import numpy as np
import ruckig

from hil.fci import limits
from hil.fci.errors import ErrorFlag
from hil.fci.limits import DT_S
from hil.fci.motion import Reference
from hil.fci.protocol import JOINTS


class AsyncJointPosition:
    """Jerk-limited motion to the newest target, one millisecond per call."""

    def __init__(self, reference: Reference, max_velocity_rad_s: np.ndarray) -> None:
        self.reference = reference
        self._planner = ruckig.Ruckig(JOINTS, DT_S)
        self._input = ruckig.InputParameter(JOINTS)
        self._output = ruckig.OutputParameter(JOINTS)
        self._input.max_velocity = np.minimum(max_velocity_rad_s, limits.VELOCITY_RAD_S).tolist()
        self._input.max_acceleration = [limits.ACCELERATION] * JOINTS
        self._input.max_jerk = [limits.JERK] * JOINTS
        self._input.target_position = reference.q.tolist()

    def follow(self, command: np.void) -> ErrorFlag | None:
        """Plan to the command's joint positions from now on (unless it ends the motion: its positions mean nothing)."""
        if not command["motion_finished"]:
            target = command["q_c"]
            if (target < limits.LOWER_RAD).any() or (target > limits.UPPER_RAD).any():
                return ErrorFlag.JOINT_MOTION_GENERATOR_POSITION_LIMITS_VIOLATION
            self._input.target_position = target.tolist()
        return self.extrapolate()

    def extrapolate(self) -> ErrorFlag | None:
        """One millisecond towards the newest target."""
        reference = self.reference
        self._input.current_position = reference.q.tolist()
        self._input.current_velocity = reference.dq.tolist()
        self._input.current_acceleration = reference.ddq.tolist()
        if self._planner.update(self._input, self._output) < 0:
            return ErrorFlag.JOINT_VIA_MOTION_GENERATOR_PLANNING_JOINT_LIMIT_VIOLATION
        q, dq = np.array(self._output.new_position), np.array(self._output.new_velocity)
        reference.q, reference.dq, reference.ddq = q, dq, np.array(self._output.new_acceleration)
        return None
