"""Cartesian candidates: a pose becomes a joint step by bounded, damped least squares with barriers (daqp).

minimise |J dq - twist|^2 + damping |dq|^2 over the joint step, inside the joint box and what the joints may travel in one
period, and with the tool kept in front of every half-space: h + (dh/dq) dq >= (1 - BARRIER) h, a discrete control barrier
function, so that it slows down towards a wall instead of running into check 7.
"""

from collections.abc import Sequence

import daqp
import numpy as np

from runtime.cell import Workspace
from runtime.gate.finding import Finding
from runtime.gate.joints import PLANNED
from runtime.gate.limits import Limits
from runtime.gate.reasons import Reason
from runtime.kinematics import Kinematics

DAMPING = 1e-4  # of joint steps [1/rad2] against squared metres and radians
BARRIER = 0.2  # share of the distance to a wall that one period may take
ANGLE_WEIGHT = 0.1  # a radian counts as much as 0.1 m
ROUNDS = 3  # Gauss-Newton steps
OPTIMAL = 1
RESIDUAL = 1e-3  # [m, 0.1 rad] what may be missing of the pose without calling it changed


class PoseFollower:
    """Joint steps for poses."""

    def __init__(self, kinematics: Kinematics, limits: Limits, workspace: Workspace, period_s: float) -> None:
        self._kinematics = kinematics
        self._limits = limits
        self._step = PLANNED * period_s * np.array(limits.velocity)
        self._lower, self._upper = np.array(limits.lower), np.array(limits.upper)
        self._normals = np.array([one.normal for one in workspace.half_spaces]).reshape(-1, 3)
        self._offsets = np.array([one.offset_m for one in workspace.half_spaces])

    def step(self, T_base_ee: Sequence[float], last: Sequence[float]) -> tuple[list[float] | None, Finding | None]:
        """Joint positions (7,) [rad] that follow the pose (16,) from the last command, and what kept them from it.

        A pose that asks a joint to jump (another branch of the inverse kinematics) is refused: positions None.
        """
        target = np.array(T_base_ee).reshape(4, 4)
        start = np.array(last)
        free = self._solve(target, start, None)
        assert free is not None
        jump = np.abs(free - start)
        joint = int(jump.argmax())
        if not jump[joint] <= self._limits.jump_stop:
            return None, Finding(Reason.BRANCH, float(jump[joint]), self._limits.jump_stop, joint + 1)
        bounded = self._solve(target, start, self._step)
        if bounded is None:
            return None, Finding(Reason.BARRIER, 0.0, 0.0)
        missing = self._kinematics.twist_to(target, bounded.tolist())
        missing[3:] *= ANGLE_WEIGHT
        residual = float(np.linalg.norm(missing))
        short = None if residual <= RESIDUAL else Finding(Reason.POSE_SHORT, residual, RESIDUAL)
        return bounded.tolist(), short

    def _solve(self, target: np.ndarray, start: np.ndarray, most: np.ndarray | None) -> np.ndarray | None:
        """Gauss-Newton; with `most` (7,) [rad] every step of it is the bounded program."""
        q = start.copy()
        weights = np.array([1.0, 1.0, 1.0, ANGLE_WEIGHT, ANGLE_WEIGHT, ANGLE_WEIGHT])
        for _ in range(ROUNDS):
            twist = weights * self._kinematics.twist_to(target, q.tolist())
            J = self._kinematics.jacobian(q.tolist())
            weighted = weights[:, None] * J
            H = weighted.T @ weighted + DAMPING * np.eye(7)
            f = -weighted.T @ twist
            if most is None:
                q = q + np.linalg.solve(H, -f)
                continue
            low = np.maximum(start - most, np.minimum(self._lower, start)) - q
            high = np.minimum(start + most, np.maximum(self._upper, start)) - q
            A = self._normals @ J[:3]
            room = self._normals @ np.array(self._kinematics.tcp()) - self._offsets
            walls = len(room)
            upper, lower = np.concatenate([high, np.full(walls, 1e30)]), np.concatenate([low, -BARRIER * room])
            sense = np.zeros(7 + walls, dtype=np.int32)
            x, _, status, _ = daqp.solve(H, f, A, upper, lower, sense)
            if status != OPTIMAL:
                return None
            q = q + np.array(x)
        return q
