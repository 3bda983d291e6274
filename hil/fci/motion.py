"""Motion generators: what the client's command makes of the reference that the controllers follow.

A reference advances by exactly one millisecond per tick, by a command or, when none came, by the robot's constant
acceleration model (libfranka rate_limiting.h: "when a packet is lost, FCI assumes a constant acceleration model").
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hil.fci import limits
from hil.fci.arm_plant import ArmPlant
from hil.fci.errors import ErrorFlag
from hil.fci.frames import ToolFrames
from hil.fci.limits import DT_S, ELBOW_FLIP_RAD
from hil.fci.protocol import JOINTS
from hil.fci.transforms import is_transform, pose_error, rotation_matrix

IK_ITERATIONS = 2  # warm-started one millisecond away: the second leaves less than 1e-9 m
IK_DAMPING = 1e-8
SINGULAR = 0.01  # smallest singular value of the Jacobian at which a Cartesian motion may start (ours)
FRAME_TOLERANCE = 1e-3  # of a commanded pose's rotation matrix (ours)
BRAKE_RAD_S2 = limits.ACCELERATION


def elbow_sign(q4_rad: float) -> float:
    """+1 above the flip angle of joint 4, -1 below."""
    return 1.0 if q4_rad > ELBOW_FLIP_RAD else -1.0


@dataclass
class Reference:
    """Desired joint motion (7,) and the Cartesian command behind it, as reported in the state packet."""

    q: np.ndarray
    T: np.ndarray  # O_T_EE_c, (4, 4)
    dq: np.ndarray = field(default_factory=lambda: np.zeros(JOINTS))
    ddq: np.ndarray = field(default_factory=lambda: np.zeros(JOINTS))
    twist: np.ndarray = field(default_factory=lambda: np.zeros(6))  # O_dP_EE_c
    acceleration: np.ndarray = field(default_factory=lambda: np.zeros(6))  # O_ddP_EE_c
    elbow: float = 0.0  # joint 3, commanded
    elbow_velocity: float = 0.0
    elbow_acceleration: float = 0.0

    def rest(self, q: np.ndarray, T: np.ndarray) -> None:
        """Stand still at `q` with the end effector at `T`."""
        self.q, self.T = q.copy(), T
        self.dq, self.ddq = np.zeros(JOINTS), np.zeros(JOINTS)
        self.twist, self.acceleration = np.zeros(6), np.zeros(6)
        self.elbow, self.elbow_velocity, self.elbow_acceleration = float(q[2]), 0.0, 0.0

    def brake(self, deceleration_rad_s2: float) -> None:
        """One millisecond of slowing every joint down, each as fast as allowed; ends at exactly zero."""
        step = deceleration_rad_s2 * DT_S
        dq = self.dq - np.clip(self.dq, -step, step)
        self.ddq = (dq - self.dq) / DT_S
        self.q = self.q + dq * DT_S
        self.dq = dq
        if not dq.any():
            self.ddq = np.zeros(JOINTS)

    @property
    def moving(self) -> bool:
        return bool(self.dq.any())

    @property
    def speed(self) -> float:
        """Fastest joint [rad/s]."""
        return float(np.abs(self.dq).max())


class MotionGenerator(Protocol):
    """Advances a reference by one millisecond; the flag returned aborts the motion and leaves the reference as it was."""

    def follow(self, command: np.void) -> ErrorFlag | None: ...
    def extrapolate(self) -> ErrorFlag | None: ...


class _JointGenerator:
    """Common to the joint generators: the next position is checked, then taken."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def _advance(self, q: np.ndarray, dq: np.ndarray) -> ErrorFlag | None:
        reference = self.reference
        ddq = (dq - reference.dq) / DT_S
        flag = limits.check_joints(q, dq, ddq, reference.ddq, limits.JOINT_FLAGS)
        if flag is None:
            reference.q, reference.dq, reference.ddq = q, dq, ddq
        return flag

    def extrapolate(self) -> ErrorFlag | None:
        reference = self.reference
        reference.dq = reference.dq + reference.ddq * DT_S
        reference.q = reference.q + reference.dq * DT_S
        if (reference.q < limits.LOWER_RAD).any() or (reference.q > limits.UPPER_RAD).any():
            return ErrorFlag.JOINT_MOTION_GENERATOR_POSITION_LIMITS_VIOLATION
        return None


class JointPosition(_JointGenerator):
    """q_c is the next desired position."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference)
        self._first = True

    def follow(self, command: np.void) -> ErrorFlag | None:
        q = command["q_c"].copy()
        if self._first:
            self._first = False
            if (np.abs(q - self.reference.q) > limits.START_POSITION_RAD).any():
                return ErrorFlag.JOINT_POSITION_MOTION_GENERATOR_START_POSE_INVALID
        return self._advance(q, (q - self.reference.q) / DT_S)


class JointVelocity(_JointGenerator):
    """dq_c is the velocity of the next millisecond."""

    def follow(self, command: np.void) -> ErrorFlag | None:
        dq = command["dq_c"].copy()
        return self._advance(self.reference.q + dq * DT_S, dq)


class _CartesianGenerator:
    """Common to the Cartesian generators: a goal pose per millisecond, joints by damped inverse kinematics.

    With an elbow command joint 3 is a seventh equation; without one the joints take the smallest step.
    """

    def __init__(self, reference: Reference, plant: ArmPlant, frames: ToolFrames) -> None:
        self.reference, self._plant, self._frames = reference, plant, frames
        self._start_sign = elbow_sign(float(reference.q[3]))
        self._first_elbow = True

    def _advance(self, T: np.ndarray, twist: np.ndarray, command: np.void | None) -> ErrorFlag | None:
        reference = self.reference
        acceleration = (twist - reference.twist) / DT_S
        flag = limits.check_cartesian(twist, acceleration, reference.acceleration)
        if flag is not None:
            return flag
        elbow = None
        if command is not None and command["valid_elbow"]:
            flag = self._take_elbow(command)
            if flag is not None:
                return flag
            elbow = reference.elbow
        q = self._solve(T, elbow)
        dq = (q - reference.q) / DT_S
        ddq = (dq - reference.dq) / DT_S
        flag = limits.check_joints(q, dq, ddq, reference.ddq, limits.CARTESIAN_JOINT_FLAGS)
        if flag is not None:
            return flag
        reference.q, reference.dq, reference.ddq = q, dq, ddq
        reference.T, reference.twist, reference.acceleration = T, twist, acceleration
        if elbow is None:
            reference.elbow, reference.elbow_velocity, reference.elbow_acceleration = float(q[2]), float(dq[2]), 0.0
        return None

    def _take_elbow(self, command: np.void) -> ErrorFlag | None:
        reference = self.reference
        position, sign = (float(value) for value in command["elbow_c"])
        if sign != self._start_sign:
            return ErrorFlag.CARTESIAN_MOTION_GENERATOR_ELBOW_SIGN_INCONSISTENT
        if self._first_elbow:
            self._first_elbow = False
            if abs(position - reference.elbow) > limits.START_ELBOW_RAD:
                return ErrorFlag.CARTESIAN_MOTION_GENERATOR_START_ELBOW_INVALID
        velocity = (position - reference.elbow) / DT_S
        acceleration = (velocity - reference.elbow_velocity) / DT_S
        velocity_limit, acceleration_limit, _ = limits.ELBOW
        if (
            abs(velocity) > velocity_limit + limits.EPSILON
            or abs(acceleration) > acceleration_limit * limits.ACCELERATION_TOLERANCE
            or not limits.LOWER_RAD[2] <= position <= limits.UPPER_RAD[2]
        ):
            return ErrorFlag.CARTESIAN_MOTION_GENERATOR_ELBOW_LIMIT_VIOLATION
        reference.elbow, reference.elbow_velocity, reference.elbow_acceleration = position, velocity, acceleration
        return None

    def _solve(self, T: np.ndarray, elbow: float | None) -> np.ndarray:
        plant, F_T_EE = self._plant, self._frames.F_T_EE
        q = self.reference.q.copy()
        for _ in range(IK_ITERATIONS):
            error = pose_error(T, plant.fk(q, F_T_EE))
            J = plant.jacobian(q, F_T_EE)
            if elbow is None:
                q = q + J.T @ np.linalg.solve(J @ J.T + IK_DAMPING * np.eye(6), error)
            else:
                A = np.vstack((J, _ELBOW_ROW))
                b = np.append(error, elbow - q[2])
                q = q + np.linalg.solve(A.T @ A + IK_DAMPING * np.eye(JOINTS), A.T @ b)
        return q

    def extrapolate(self) -> ErrorFlag | None:
        reference = self.reference
        twist = reference.twist + reference.acceleration * DT_S
        T = moved(reference.T, twist * DT_S)
        return self._advance(T, twist, None)


_ELBOW_ROW = np.array([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])


def moved(T: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """`T` (4, 4) translated and turned by a small displacement (6,), base axes."""
    result = T.copy()
    result[:3, 3] += displacement[:3]
    result[:3, :3] = rotation_matrix(displacement[3:]) @ T[:3, :3]
    return result


class CartesianPosition(_CartesianGenerator):
    """O_T_EE_c is the next desired pose."""

    def __init__(self, reference: Reference, plant: ArmPlant, frames: ToolFrames) -> None:
        super().__init__(reference, plant, frames)
        self._first = True

    def follow(self, command: np.void) -> ErrorFlag | None:
        T = command["O_T_EE_c"].reshape(4, 4).T.copy()
        if not is_transform(T, FRAME_TOLERANCE):
            return ErrorFlag.CARTESIAN_POSITION_MOTION_GENERATOR_INVALID_FRAME
        T[:3, :3] = orthonormal(T[:3, :3])
        step = pose_error(T, self.reference.T)
        if self._first:
            self._first = False
            if (
                np.linalg.norm(step[:3]) > limits.START_TRANSLATION_M
                or np.linalg.norm(step[3:]) > limits.START_ROTATION_RAD
            ):
                return ErrorFlag.CARTESIAN_POSITION_MOTION_GENERATOR_START_POSE_INVALID
        return self._advance(T, step / DT_S, command)


def orthonormal(R: np.ndarray) -> np.ndarray:
    """The rotation nearest to `R` (3, 3) to first order: what rounding left is removed, not accumulated."""
    return 0.5 * R @ (3.0 * np.eye(3) - R.T @ R)


class CartesianVelocity(_CartesianGenerator):
    """O_dP_EE_c is the twist of the next millisecond; the pose is integrated, so joints do not drift from it."""

    def follow(self, command: np.void) -> ErrorFlag | None:
        twist = command["O_dP_EE_c"].copy()
        return self._advance(moved(self.reference.T, twist * DT_S), twist, command)


def is_singular(plant: ArmPlant, q: np.ndarray, F_T_EE: np.ndarray) -> bool:
    """Whether the Jacobian at `q` is too poor for a Cartesian motion to start."""
    return bool(np.linalg.svd(plant.jacobian(q, F_T_EE), compute_uv=False)[-1] < SINGULAR)
