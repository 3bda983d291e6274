"""From a checked waypoint file to a plan: quintic between waypoints, as fast as the profile's limits and the file allow.

Joint waypoints are reached straight in joint space, poses on a straight line of the tool with rotation about one axis.
Runs outside rt, before the motion: inverse kinematics takes milliseconds per centimetre.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pinocchio as pin

from runtime.cell import Cell, Pose
from runtime.loop.kit import build_kit, read_identity
from runtime.robot import RobotModel
from runtime.sources.base import Joints
from runtime.sources.goto import (
    MIN_DURATION_S,
    PEAK_ACCELERATION,
    PEAK_JERK,
    PEAK_VELOCITY,
    MoveLimits,
    duration_s,
)
from runtime.sources.hold import ZERO
from runtime.sources.plan import MAX_SAMPLES, SAMPLE_NS, Plan
from runtime.sources.waypoints import Waypoint, WaypointError, WaypointFile, arm_of, load_waypoints

STEP_M, STEP_RAD = 0.005, 0.02  # how finely a straight line is solved
MAX_JOINT_STEP_RAD = 0.1  # per solved step: more is a jump to another arm configuration
IK_TOLERANCE = 1e-6  # m and rad
IK_ITERATIONS = 60
IK_DAMPING = 1e-4
MAX_TURN_RAD_S = 0.6

_STEP_S = SAMPLE_NS * 1e-9
_Path = Callable[[float], Joints]


def plan_file(path: Path, cell: Cell, instance: str) -> Plan:
    """Read, check and plan a waypoint file for the running cell's connected robot.

    Raises:
        WaypointError: the file is wrong, no arm is connected, or a waypoint cannot be reached within the limits.
    """
    file = load_waypoints(path)
    arm = arm_of(file, path, cell)
    identity = read_identity(instance, arm)
    if identity is None:
        raise WaypointError(
            f"{path}: arm '{arm}' is not connected, so its limits are not known: start its driver first"
        )
    kit = build_kit(identity, cell, arm, 1_000_000_000 // cell.loop.rate_hz)
    planner = Planner(kit.gate.robot, kit.moves, kit.lower, kit.upper, cell.arms[arm].home_q_rad, str(path))
    return planner.plan(file, list(cell.arms).index(arm))


class Planner:
    """Plans for one arm.

    Args:
        robot: kinematics.
        moves: what the motion may use.
        lower, upper: joint positions allowed (7,) [rad].
        home: where inverse kinematics starts for a first waypoint that is a pose (7,) [rad].
        source: named in errors.
    """

    def __init__(
        self, robot: RobotModel, moves: MoveLimits, lower: Joints, upper: Joints, home: Joints, source: str
    ) -> None:
        self._moves, self._lower, self._upper, self._home, self._source = moves, lower, upper, home, source
        self._model = robot.model()
        self._data = self._model.createData()
        self._frame = self._model.getFrameId("ee")

    def plan(self, file: WaypointFile, arm: int) -> Plan:
        """The whole motion; it starts at the first waypoint."""
        q_all: list[Joints] = []
        dq_all: list[Joints] = []
        here = self._first(file.waypoints[0])
        for index, waypoint in enumerate(file.waypoints[1:], 1):
            where = f"waypoints.{index}"
            if waypoint.joints_rad is not None:
                self._check(waypoint.joints_rad, f"{where}.joints_rad")
                path, shortest = (
                    _straight(here, waypoint.joints_rad),
                    duration_s(here, waypoint.joints_rad, self._moves),
                )
            else:
                assert waypoint.pose is not None
                path, shortest = self._line(here, waypoint.pose, f"{where}.pose")
            time_s = self._duration(shortest / file.speed, waypoint, where)
            if len(q_all) + time_s / _STEP_S > MAX_SAMPLES - 1:
                raise WaypointError(
                    f"{self._source}: {where}: the motion takes more than {MAX_SAMPLES * _STEP_S:.0f} s: split the file"
                )
            q, dq = _sample(path, time_s)
            q_all += q[:-1] if index < len(file.waypoints) - 1 else q
            dq_all += dq[:-1] if index < len(file.waypoints) - 1 else dq
            here = q[-1]
        if len(q_all) < 2:
            q_all, dq_all = [here, here], [ZERO, ZERO]  # one waypoint: the approach is the motion
        return Plan(arm, SAMPLE_NS, tuple(q_all), tuple(dq_all))

    def _first(self, waypoint: Waypoint) -> Joints:
        if waypoint.joints_rad is not None:
            self._check(waypoint.joints_rad, "waypoints.0.joints_rad")
            return waypoint.joints_rad
        assert waypoint.pose is not None
        q = self._solve(_transform(waypoint.pose), np.array(self._home), "waypoints.0.pose")
        self._check(q, "waypoints.0.pose")
        return q

    def _duration(self, shortest_s: float, waypoint: Waypoint, where: str) -> float:
        asked = waypoint.duration_s
        if asked is not None and asked < shortest_s:
            raise WaypointError(
                f"{self._source}: {where}.duration_s: got {asked:g}: at this file's speed the limits allow no less than "
                f"{shortest_s:.2f}"
            )
        steps = math.ceil(max(asked or 0.0, shortest_s) / _STEP_S - 1e-9)
        return max(2, steps) * _STEP_S

    def _check(self, q: Sequence[float], where: str) -> None:
        for joint in range(7):
            if not self._lower[joint] <= q[joint] <= self._upper[joint]:
                raise WaypointError(
                    f"{self._source}: {where}: joint {joint + 1}: got {q[joint]:.4f}: the profile allows "
                    f"{self._lower[joint]:.4f} to {self._upper[joint]:.4f} rad"
                )

    def _pose(self, q: np.ndarray) -> pin.SE3:
        pin.framesForwardKinematics(self._model, self._data, q)
        return self._data.oMf[self._frame].copy()

    def _solve(self, target: pin.SE3, seed: np.ndarray, where: str) -> Joints:
        """Damped least squares from `seed`; refuses rather than give a pose that is off."""
        q = seed.copy()
        for _ in range(IK_ITERATIONS):
            error = pin.log6(self._pose(q).inverse() * target).vector
            if np.abs(error).max() < IK_TOLERANCE:
                return tuple(q.tolist())
            J = pin.computeFrameJacobian(self._model, self._data, q, self._frame, pin.ReferenceFrame.LOCAL)
            step = J.T @ np.linalg.solve(J @ J.T + IK_DAMPING * np.eye(6), error)
            q = np.clip(q + step * min(1.0, 0.5 / np.abs(step).max()), self._lower, self._upper)
        left = pin.log6(self._pose(q).inverse() * target).vector
        raise WaypointError(
            f"{self._source}: {where}: out of reach: {np.linalg.norm(left[:3]) * 1000:.0f} mm and "
            f"{np.linalg.norm(left[3:]):.2f} rad short with all joints inside their limits"
        )

    def _line(self, here: Joints, pose: Pose, where: str) -> tuple[_Path, float]:
        """The straight way of the tool to `pose`, and the shortest time for it [s]."""
        start, end = self._pose(np.array(here)), _transform(pose)
        way = float(np.linalg.norm(end.translation - start.translation))
        turn = pin.log3(start.rotation.T @ end.rotation)
        angle = float(np.linalg.norm(turn))
        count = max(8, math.ceil(way / STEP_M), math.ceil(angle / STEP_RAD))
        q = [np.array(here)]
        for k in range(1, count + 1):
            x = k / count
            at = pin.SE3(start.rotation @ pin.exp3(turn * x), (1 - x) * start.translation + x * end.translation)
            found = self._solve(at, q[-1], f"{where} (at {x:.0%} of its way)")
            jump = np.abs(np.array(found) - q[-1])
            if jump.max() > MAX_JOINT_STEP_RAD:
                raise WaypointError(
                    f"{self._source}: {where}: at {x:.0%} of its way joint {jump.argmax() + 1} would jump by "
                    f"{jump.max():.2f} rad: go there by 'joints_rad'"
                )
            q.append(np.array(found))
        table = np.array(q)
        first = np.gradient(table, 1 / count, axis=0, edge_order=2)
        second = np.gradient(first, 1 / count, axis=0, edge_order=2)
        velocity, acceleration = np.abs(first).max(axis=0), np.abs(second).max(axis=0)
        limits = self._moves
        shortest = max(
            MIN_DURATION_S,
            PEAK_VELOCITY * float((velocity / limits.velocity).max()),
            # Along the path: q'' p'^2 + q' p''.
            float(
                np.sqrt(((acceleration * PEAK_VELOCITY**2 + velocity * PEAK_ACCELERATION) / limits.acceleration).max())
            ),
            float((PEAK_JERK * velocity / limits.jerk).max() ** (1 / 3)),
            PEAK_VELOCITY * angle / MAX_TURN_RAD_S,
            _points_time(table, limits),
        )
        knots = np.arange(count + 1) / count

        def path(x: float) -> Joints:
            k = min(int(x * count), count - 1)
            h, u = 1 / count, (x - knots[k]) * count
            a, b, va, vb = table[k], table[k + 1], first[k] * h, first[k + 1] * h
            w = 1 - u
            value = (1 + 2 * u) * w * w * a + u * w * w * va + u * u * (3 - 2 * u) * b - u * u * w * vb
            return tuple(value.tolist())

        return path, shortest


def _points_time(table: np.ndarray, limits: MoveLimits) -> float:
    """The time that the speeds of tool and elbow ask along a table of joint positions [s]."""
    found = 0.0
    points = [limits.points(tuple(q.tolist())) for q in table]
    for before, after in itertools.pairwise(points):
        for p, r, limit in zip(before, after, limits.point_speeds, strict=True):
            found = max(found, PEAK_VELOCITY * math.dist(p, r) * (len(table) - 1) / limit)
    return found


def _straight(start: Joints, end: Joints) -> _Path:
    return lambda x: tuple(a + (b - a) * x for a, b in zip(start, end, strict=True))


def _sample(path: _Path, time_s: float) -> tuple[list[Joints], list[Joints]]:
    """Positions and velocities every 10 ms of the quintic along `path`, at rest at both ends."""
    count = round(time_s / _STEP_S)
    q, dq = [], []
    for k in range(count + 1):
        x = k / count
        p = min(1.0, max(0.0, x * x * x * (10.0 + x * (6.0 * x - 15.0))))
        rate = 30.0 * x * x * (1.0 + x * (x - 2.0)) / time_s
        q.append(path(p))
        low, high = max(0.0, p - 1e-5), min(1.0, p + 1e-5)
        slope = [(b - a) / (high - low) for a, b in zip(path(low), path(high), strict=True)]
        dq.append(tuple(value * rate for value in slope))
    return q, dq


def _transform(pose: Pose) -> pin.SE3:
    return pin.SE3(pin.rpy.rpyToMatrix(*pose.rpy_rad), np.array(pose.xyz_m))
