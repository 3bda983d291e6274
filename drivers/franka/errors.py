"""libfranka's 41 error flags as a bit mask with a sentence for the operator, and the errors that this driver raises."""

from dataclasses import dataclass

import franky

from runtime.errors import SinewError


class ArmError(SinewError):
    """The arm cannot be used; the text says why and what to do."""


class RobotHeldError(ArmError):
    """Another driver holds this robot, perhaps under another name of the same address."""


class UnsupportedServerError(ArmError):
    """The robot's server speaks a version that the installed client library does not."""


class RobotModelError(ArmError):
    """The robot's description (URDF) lacks what the driver needs."""


class NoConnectionError(ArmError):
    """The robot could not be reached or refused the client."""


@dataclass(frozen=True)
class Flag:
    """One of libfranka's error flags: its attribute name in franky and what it means to an operator."""

    name: str
    sentence: str


_PLANNING = "the commanded trajectory was refused by the robot: reduce speed or check the policy's output"
_START = "the first command did not start where the arm is: re-arm"

# In wire order (libfranka-common, research_interface/robot/error.h): the index is the bit in ARM_STATE's masks.
FLAGS = (
    Flag("joint_position_limits_violation", "a joint is past its end stop: guide it back by hand, then recover"),
    Flag("cartesian_position_limits_violation", "the arm left its virtual walls: guide it back by hand, then recover"),
    Flag("self_collision_avoidance_violation", "the arm was about to hit itself: guide it apart, then recover"),
    Flag("joint_velocity_violation", "a joint was too fast: lower the speed limits"),
    Flag("cartesian_velocity_violation", "the tool was too fast: lower the speed limits"),
    Flag("force_control_safety_violation", "force control left its safe range"),
    Flag("joint_reflex", "collision: a joint torque passed its threshold: look for contact, then recover"),
    Flag("cartesian_reflex", "collision: a tool force passed its threshold: look for contact, then recover"),
    Flag("max_goal_pose_deviation_violation", "the robot's own motion did not reach its goal"),
    Flag("max_path_pose_deviation_violation", "the robot's own motion left its path"),
    Flag("cartesian_velocity_profile_safety_violation", "the robot's own motion was too fast"),
    Flag("joint_position_motion_generator_start_pose_invalid", _START),
    Flag("joint_motion_generator_position_limits_violation", "a command would pass a joint's limit"),
    Flag("joint_motion_generator_velocity_limits_violation", "a commanded joint velocity is above the limit"),
    Flag("joint_motion_generator_velocity_discontinuity", "a commanded joint velocity jumped"),
    Flag("joint_motion_generator_acceleration_discontinuity", "a commanded joint acceleration jumped"),
    Flag("cartesian_position_motion_generator_start_pose_invalid", _START),
    Flag("cartesian_motion_generator_elbow_limit_violation", "a command would move the elbow past its limit"),
    Flag("cartesian_motion_generator_velocity_limits_violation", "a commanded tool velocity is above the limit"),
    Flag("cartesian_motion_generator_velocity_discontinuity", "a commanded tool velocity jumped"),
    Flag("cartesian_motion_generator_acceleration_discontinuity", "a commanded tool acceleration jumped"),
    Flag("cartesian_motion_generator_elbow_sign_inconsistent", "the commanded elbow flipped"),
    Flag("cartesian_motion_generator_start_elbow_invalid", _START),
    Flag("force_controller_desired_force_tolerance_violation", "the desired force is above its threshold"),
    Flag("start_elbow_sign_inconsistent", _START),
    Flag("communication_constraints_violation", "commands reached the robot too late: check network and load"),
    Flag("power_limit_violation", "a command would pass the robot's power limit: reduce speed or load"),
    Flag("cartesian_motion_generator_joint_position_limits_violation", "a tool command would pass a joint's limit"),
    Flag("cartesian_motion_generator_joint_velocity_limits_violation", "a tool command makes a joint too fast"),
    Flag("cartesian_motion_generator_joint_velocity_discontinuity", "a tool command makes a joint's velocity jump"),
    Flag("cartesian_motion_generator_joint_acceleration_discontinuity", "a tool command makes a joint jerk"),
    Flag("cartesian_position_motion_generator_invalid_frame", "a commanded pose is no rigid transform"),
    Flag("controller_torque_discontinuity", "the commanded torque jumped"),
    Flag("joint_p2p_insufficient_torque_for_planning", "the arm is too heavily loaded for this motion"),
    Flag("tau_j_range_violation", "a joint torque sensor is out of its range: check load and tool"),
    Flag("instability_detected", "the robot found its control unstable: lower the stiffness"),
    Flag("joint_move_in_wrong_direction", "a joint past its end stop was guided further out: guide it back"),
    Flag("cartesian_spline_motion_generator_violation", _PLANNING),
    Flag("joint_via_motion_generator_planning_joint_limit_violation", _PLANNING),
    Flag("base_acceleration_initialization_timeout", "gravity could not be measured: restart the robot, arm still"),
    Flag("base_acceleration_invalid_reading", "the base acceleration cannot be read: restart the robot"),
)

# franky's `Errors.__getstate__` lists the flags in its own order (python/bind_errors.cpp), not in wire order: the place
# in its tuple of each wire bit. One call in place of 41 attribute reads; the tests raise all 41 through the real client.
_PLACE_OF_BIT = (*range(23), 28, 30, 31, 32, 23, 24, 25, 26, 27, 29, *range(33, 41))
_BIT_OF_PLACE = tuple(1 << _PLACE_OF_BIT.index(place) for place in range(len(FLAGS)))


def error_bits(errors: franky.Errors) -> int:
    """The flags as a mask, bit k being the k-th of `FLAGS`."""
    flags = errors.__getstate__()
    if True not in flags:
        return 0
    return sum(bit for bit, is_set in zip(_BIT_OF_PLACE, flags, strict=True) if is_set)


def error_flags(bits: int) -> list[Flag]:
    """The flags that are set in a mask."""
    return [flag for index, flag in enumerate(FLAGS) if bits >> index & 1]


def describe_errors(bits: int) -> str:
    """Name and sentence of every flag that is set, for an event; 'no error flag is set' when none is."""
    return "; ".join(f"{flag.name}: {flag.sentence}" for flag in error_flags(bits)) or "no error flag is set"


def is_planner_error(error: BaseException) -> bool:
    """True for an error of franky's own trajectory planning or of how it was used; False for a dead link."""
    if isinstance(error, franky.NetworkException | franky.ProtocolException | franky.IncompatibleVersionException):
        return False
    if isinstance(error, RuntimeError):
        # A planner error and a dead socket ("Net Exception", "I/O error") are the same bare type: only the text tells.
        return str(error).startswith(("Motion planner failed", "Waypoint"))
    return True
