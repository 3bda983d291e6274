"""A robot state of the client library as a row of `ARM_STATE`."""

import franky
import numpy as np

from drivers.franka.errors import error_bits
from runtime.rows import RobotMode

MODES = {
    franky.RobotMode.Other: RobotMode.OTHER,
    franky.RobotMode.Idle: RobotMode.IDLE,
    franky.RobotMode.Move: RobotMode.MOVE,
    franky.RobotMode.Guiding: RobotMode.GUIDING,
    franky.RobotMode.Reflex: RobotMode.REFLEX,
    franky.RobotMode.UserStopped: RobotMode.USER_STOPPED,
    franky.RobotMode.AutomaticErrorRecovery: RobotMode.AUTOMATIC_ERROR_RECOVERY,
}

_VECTORS = (
    ("q", "q"), ("dq", "dq"), ("tau", "tau_J"), ("tau_ext", "tau_ext_hat_filtered"),
    ("q_d", "q_d"), ("dq_d", "dq_d"), ("ddq_d", "ddq_d"),
    ("wrench_base", "O_F_ext_hat_K"), ("wrench_k", "K_F_ext_hat_K"),
)  # fmt: skip
_POSES = (("T_base_ee", "O_T_EE"), ("T_base_ee_d", "O_T_EE_d"), ("T_flange_ee", "F_T_EE"))
_CONTACTS = ("joint_contact", "joint_collision", "cartesian_contact", "cartesian_collision")


def robot_time_ns(state: franky.RobotState) -> int:
    """The robot's own clock [ns]; it advances 1 ms per state."""
    return int(state.time.to_msec()) * 1_000_000


def fill_state(row: np.void, state: franky.RobotState) -> None:
    """Copy what the robot reported into a row; the driver's own fields are left alone."""
    row["robot_time_ns"] = robot_time_ns(state)
    for field, name in _VECTORS:
        row[field] = getattr(state, name)
    for field, name in _POSES:
        row[field] = getattr(state, name).matrix
    for field in _CONTACTS:
        row[field] = sum(1 << index for index, level in enumerate(getattr(state, field)) if level > 0.0)
    row["errors"] = error_bits(state.current_errors)
    row["last_errors"] = error_bits(state.last_motion_errors)
    row["robot_mode"] = MODES[state.robot_mode]
    row["success_rate"] = state.control_command_success_rate
