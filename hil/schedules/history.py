"""The one record of a schedule: the robot's own log, and when something was asked of it or done to it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Act:
    """Something done. `moves`: from here on the arm may move; `stops`: within a bounded time it may no longer."""

    stamp_ns: int
    text: str
    moves: bool = False
    stops: bool = False


@dataclass(frozen=True)
class History:
    """Rows of `hil.robot_log.ROBOT_ROW` with their monotonic stamps, oldest first; `lost` rows make it worthless."""

    rows: np.ndarray
    stamps_ns: np.ndarray
    lost: int
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class RobotLimits:
    """Of every joint (7,): position [rad], velocity [rad/s], acceleration [rad/s2], as the robot's description has them."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
