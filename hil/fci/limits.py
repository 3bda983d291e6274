"""The robot's own checks: which error flag a reference or a measurement raises. Pure functions.

The numbers are the FR3's public limits (FCI documentation; libfranka rate_limiting.h). How far the robot lets them be
exceeded is not public. The tolerances below are ours: positions and velocities hold to the digit; accelerations and
jerks have room for what a correct client cannot avoid, which is the rounding of q_d to float32 in the state packet
(about 600 rad/s^3 of apparent jerk) and the extrapolation of one lost packet. A velocity step of 0.02 rad/s trips.
"""

import numpy as np

from hil.fci.errors import ErrorFlag
from hil.scenes.fr3 import JOINT_TABLE, LOWER_RAD, TORQUE_NM, UPPER_RAD, VELOCITY_RAD_S

DT_S = 1e-3
VELOCITY_OFFSET = np.array([joint.velocity_offset_rad_s for joint in JOINT_TABLE])
DECELERATION = np.array([joint.deceleration_rad_s2 for joint in JOINT_TABLE])
ACCELERATION = 10.0  # rad/s^2, every joint
JERK = 5000.0  # rad/s^3, every joint
TORQUE_RATE = 1000.0  # Nm/s

# Cartesian: velocity, acceleration, jerk of translation [m], rotation [rad], elbow [rad].
TRANSLATION = (3.0, 9.0, 4500.0)
ROTATION = (2.5, 17.0, 8500.0)
ELBOW = (2.62, 10.0, 5000.0)

EPSILON = 1e-3  # rate_limiting.h: kLimitEps
ACCELERATION_TOLERANCE = 2.0  # times the limit
JERK_TOLERANCE = 3.0
TORQUE_RATE_TOLERANCE = 1.5

START_POSITION_RAD = 1e-3  # a first command further from q_d than this is a wrong start, not a discontinuity
START_TRANSLATION_M = 1e-3
START_ROTATION_RAD = 5e-3
START_ELBOW_RAD = 1e-2
FINISH_SPEED_RAD_S = 0.02  # a motion declared finished above this speed is still moving
ELBOW_FLIP_RAD = -0.467002423653011  # of joint 4 (FCI documentation, robot interface specification)

POWER_LIMIT_W = 600.0  # of all joints together; the robot's figure is not public
TORQUE_RANGE = 1.15  # times the effort limit: where a joint torque sensor's range ends (ours)
SPEED_TOLERANCE = 1.1  # measured against commanded limit

_ACCELERATION_TRIP = ACCELERATION * ACCELERATION_TOLERANCE
_JERK_TRIP = JERK * JERK_TOLERANCE


def velocity_bounds(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper joint velocity (7,) [rad/s] at positions `q` (7,): the FR3 must be able to brake before its stop.

    FCI documentation, "limits for FR3"; the same formula as libfranka's joint_velocity_limits.
    """
    up = np.sqrt(np.maximum(2.0 * DECELERATION * (UPPER_RAD - q), 0.0)) - VELOCITY_OFFSET
    down = VELOCITY_OFFSET - np.sqrt(np.maximum(2.0 * DECELERATION * (q - LOWER_RAD), 0.0))
    return np.maximum(-VELOCITY_RAD_S, np.minimum(down, 0.0)), np.minimum(VELOCITY_RAD_S, np.maximum(up, 0.0))


# Which flag the four joint checks raise, for joint generators and for the joints behind a Cartesian one.
JOINT_FLAGS = (
    ErrorFlag.JOINT_MOTION_GENERATOR_POSITION_LIMITS_VIOLATION,
    ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_LIMITS_VIOLATION,
    ErrorFlag.JOINT_MOTION_GENERATOR_VELOCITY_DISCONTINUITY,
    ErrorFlag.JOINT_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY,
)
CARTESIAN_JOINT_FLAGS = (
    ErrorFlag.CARTESIAN_MOTION_GENERATOR_JOINT_POSITION_LIMITS_VIOLATION,
    ErrorFlag.CARTESIAN_MOTION_GENERATOR_JOINT_VELOCITY_LIMITS_VIOLATION,
    ErrorFlag.CARTESIAN_MOTION_GENERATOR_JOINT_VELOCITY_DISCONTINUITY,
    ErrorFlag.CARTESIAN_MOTION_GENERATOR_JOINT_ACCELERATION_DISCONTINUITY,
)


def check_joints(
    q: np.ndarray, dq: np.ndarray, ddq: np.ndarray, previous_ddq: np.ndarray, flags: tuple[ErrorFlag, ...]
) -> ErrorFlag | None:
    """The flag that a joint reference raises, or None.

    Args:
        q, dq, ddq: the next reference (7,) [rad, rad/s, rad/s^2].
        previous_ddq: acceleration of the reference before it.
        flags: for position limits, velocity limits, velocity discontinuity, acceleration discontinuity.
    """
    if (q < LOWER_RAD).any() or (q > UPPER_RAD).any():
        return flags[0]
    if (np.abs(ddq) > _ACCELERATION_TRIP).any():
        return flags[2]
    lower, upper = velocity_bounds(q)
    if (dq < lower - EPSILON).any() or (dq > upper + EPSILON).any():
        return flags[1]
    if (np.abs(ddq - previous_ddq) > _JERK_TRIP * DT_S).any():
        return flags[3]
    return None


def _norm(vector: np.ndarray) -> float:
    return float(vector @ vector) ** 0.5


def check_cartesian(twist: np.ndarray, acceleration: np.ndarray, previous_acceleration: np.ndarray) -> ErrorFlag | None:
    """The flag that a Cartesian reference raises: twist (6,) [m/s, rad/s], its derivative now and one tick before."""
    for part, (velocity_limit, acceleration_limit, jerk_limit) in ((slice(0, 3), TRANSLATION), (slice(3, 6), ROTATION)):
        if _norm(acceleration[part]) > acceleration_limit * ACCELERATION_TOLERANCE:
            return ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_DISCONTINUITY
        if _norm(twist[part]) > velocity_limit + EPSILON:
            return ErrorFlag.CARTESIAN_MOTION_GENERATOR_VELOCITY_LIMITS_VIOLATION
        if _norm(acceleration[part] - previous_acceleration[part]) > jerk_limit * JERK_TOLERANCE * DT_S:
            return ErrorFlag.CARTESIAN_MOTION_GENERATOR_ACCELERATION_DISCONTINUITY
    return None


def check_torque_rate(tau: np.ndarray, previous: np.ndarray) -> ErrorFlag | None:
    """The flag that a torque command (7,) [Nm] raises one tick after `previous`."""
    if (np.abs(tau - previous) > TORQUE_RATE * TORQUE_RATE_TOLERANCE * DT_S).any():
        return ErrorFlag.CONTROLLER_TORQUE_DISCONTINUITY
    return None


def check_measured(q: np.ndarray, dq: np.ndarray, tau: np.ndarray, tcp_speed_m_s: float) -> ErrorFlag | None:
    """The flag that the measured arm raises: positions, velocities (7,), joint torque with gravity (7,) [Nm], TCP speed."""
    if (q < LOWER_RAD).any() or (q > UPPER_RAD).any():
        return ErrorFlag.JOINT_POSITION_LIMITS_VIOLATION
    if (np.abs(dq) > VELOCITY_RAD_S * SPEED_TOLERANCE).any():
        return ErrorFlag.JOINT_VELOCITY_VIOLATION
    if tcp_speed_m_s > TRANSLATION[0] * SPEED_TOLERANCE:
        return ErrorFlag.CARTESIAN_VELOCITY_VIOLATION
    if (np.abs(tau) > TORQUE_NM * TORQUE_RANGE).any():
        return ErrorFlag.TAU_J_RANGE_VIOLATION
    if float(np.abs(tau) @ np.abs(dq)) > POWER_LIMIT_W:
        return ErrorFlag.POWER_LIMIT_VIOLATION
    return None
