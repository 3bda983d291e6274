"""One running motion: what was asked, how its packets arrived, what torque or reference its last command gave."""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hil.fci import limits
from hil.fci.arm_plant import ArmPlant
from hil.fci.async_motion import AsyncJointPosition
from hil.fci.errors import ErrorFlag
from hil.fci.frames import ToolFrames
from hil.fci.motion import (
    CartesianPosition,
    CartesianVelocity,
    JointPosition,
    JointVelocity,
    MotionGenerator,
    Reference,
)
from hil.fci.protocol import Controller, Generator, MoveRequest, MoveStatus
from hil.fci.transforms import rotation_vector

_ANY_ROTATION_RAD = 3.0  # libfranka asks for 3.12 rad when it means no limit
_WINDOW = 100  # packets over which the success rate is taken (franka/robot_state.h)


@dataclass
class Motion:
    """State of the motion that a Move request started. `generator` is None for torques only."""

    command_id: int
    request: MoveRequest
    controller: Controller
    generator: MotionGenerator | None
    tau: np.ndarray  # (7,) last external torque, without gravity
    started: bool = False  # a first command has come
    ending: MoveStatus | None = None  # set: braking, this will be the answer
    stop_ids: list[int] = field(default_factory=list)  # StopMove requests to answer at the end
    waited_ms: int = 0  # for the first command
    missed_in_a_row: int = 0
    resting_ms: int = 0  # since the reference stands still, while ending
    _arrivals: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    @property
    def controls_torque_only(self) -> bool:
        return self.generator is None

    @property
    def in_joint_space(self) -> bool:
        return self.request.generator in (Generator.JOINT_POSITION, Generator.JOINT_VELOCITY)

    @property
    def success_rate(self) -> float:
        """Share of commands that arrived in the last 100 ms."""
        return sum(self._arrivals) / len(self._arrivals) if self._arrivals else 0.0

    def arrived(self) -> None:
        """A command came in time."""
        self.missed_in_a_row = 0
        self._arrivals.append(True)

    def missed(self) -> None:
        """No command came in time."""
        self.missed_in_a_row += 1
        self._arrivals.append(False)

    def follow(self, command: np.void) -> ErrorFlag | None:
        """Take the command: torque, reference, or both."""
        flag = None
        if self.controller is Controller.EXTERNAL:
            tau = command["tau_J_d"].copy()
            # The first torque may start from zero or from the torque that held the arm.
            before = self.tau if self.started else np.clip(tau, np.minimum(self.tau, 0.0), np.maximum(self.tau, 0.0))
            flag = limits.check_torque_rate(tau, before)
            if flag is None:
                self.tau = tau
        if flag is None and self.generator is not None:
            flag = self.generator.follow(command)
        self.started = True
        return flag

    def extrapolate(self) -> ErrorFlag | None:
        """No command came: the torque stays, the reference goes on with constant acceleration."""
        return self.generator.extrapolate() if self.generator is not None else None

    def check_deviation(self, T: np.ndarray, T_desired: np.ndarray) -> ErrorFlag | None:
        """The flag for an end effector that is further from its path than the request allows; poses (4, 4)."""
        if self.controls_torque_only:
            return None
        offset = T[:3, 3] - T_desired[:3, 3]
        if math.sqrt(offset @ offset) > self.request.path_deviation[0]:
            return ErrorFlag.MAX_PATH_POSE_DEVIATION_VIOLATION
        allowed = self.request.path_deviation[1]
        if allowed < _ANY_ROTATION_RAD and np.linalg.norm(rotation_vector(T[:3, :3] @ T_desired[:3, :3].T)) > allowed:
            return ErrorFlag.MAX_PATH_POSE_DEVIATION_VIOLATION
        return None


def make_generator(
    request: MoveRequest, reference: Reference, plant: ArmPlant, frames: ToolFrames
) -> MotionGenerator | None:
    """The generator that a valid request asks for, working on `reference`."""
    kind = Generator(request.generator)
    if request.use_async:
        return AsyncJointPosition(reference, np.array(request.max_velocity_rad_s))
    if kind is Generator.JOINT_POSITION:
        return JointPosition(reference)
    if kind is Generator.JOINT_VELOCITY:
        return JointVelocity(reference)
    if kind is Generator.CARTESIAN_POSITION:
        return CartesianPosition(reference, plant, frames)
    if kind is Generator.CARTESIAN_VELOCITY:
        return CartesianVelocity(reference, plant, frames)
    return None
