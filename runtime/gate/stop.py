"""Stopping trajectories: along the path first, per joint as the fallback. Planned in ruckig's velocity interface.

(A stop planned to a position is refused in mid-move: 110 of 500 were, elsewhere.) Both start at the state's own velocity
and acceleration and end at rest, with acceleration and jerk inside the limits by construction; what depends on the pose
(velocity limits, speeds, room) is checked along them by the gate.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

import ruckig

from runtime.gate.joints import PLANNED
from runtime.gate.limits import Limits

Seven = list[float]
State = tuple[Seven, Seven, Seven]  # position [rad], velocity [rad/s], acceleration [rad/s2]
SLOW_RAD_S = 1e-3  # slower than this (norm over the joints) a path has no direction worth keeping

MOST_TURN = 0.5  # how far, against the velocity, the parabola may turn: beyond it says nothing of the path
ROUNDING = 1e-9  # keeps a joint that stands still from dividing by zero


class StopKind(IntEnum):
    """How a stop brakes. In the order in which they are tried."""

    REST = 0  # nothing moves
    PATH = 1
    JOINTS = 2


class Stop(Protocol):
    """A trajectory from a state to rest."""

    kind: StopKind
    duration: float  # [s]
    start: State  # the state that it was planned from

    def reach(self) -> tuple[Seven, Seven]:
        """Least and greatest position [rad] of each joint along the way."""
        ...

    def at(self, time_s: float) -> State:
        """Positions [rad], velocities, accelerations `time_s` after the state it starts from; at rest from `duration` on."""
        ...


class Rest:
    """Nothing moves."""

    kind = StopKind.REST
    duration = 0.0

    def __init__(self, q: Sequence[float]) -> None:
        self.start = list(q), [0.0] * 7, [0.0] * 7

    def reach(self) -> tuple[Seven, Seven]:
        return self.start[0], self.start[0]

    def at(self, time_s: float) -> State:
        return self.start


class PathStop:
    """Brakes along the parabola that fits the path: `q(s) = q + dq s + c s^2 / 2`, s' going from 1 to 0.

    `c` is the part of the acceleration that bends the path (the rest of it changes the speed along it).
    """

    kind = StopKind.PATH

    def __init__(self, start: State, bend: Seven, braking: ruckig.Trajectory) -> None:
        self.start, self._bend, self._braking = start, bend, braking
        self.duration: float = braking.duration
        self._length: float = braking.at_time(braking.duration)[0][0]

    def reach(self) -> tuple[Seven, Seven]:
        low, high = [], []
        for position, velocity, bend in zip(*self.start[:2], self._bend, strict=True):
            ways = [0.0, self._length * (velocity + 0.5 * self._length * bend)]
            if velocity * bend < 0.0 and -velocity / bend < self._length:
                ways.append(-0.5 * velocity * velocity / bend)  # where the parabola turns back
            low.append(position + min(ways))
            high.append(position + max(ways))
        return low, high

    def at(self, time_s: float) -> State:
        (s,), (rate,), (change,) = self._braking.at_time(min(time_s, self.duration))
        if time_s >= self.duration:
            rate = change = 0.0
        q, dq, ddq = [], [], []
        for position, velocity, bend in zip(*self.start[:2], self._bend, strict=True):
            slope = velocity + s * bend
            q.append(position + s * (velocity + 0.5 * s * bend))
            dq.append(rate * slope)
            ddq.append(change * slope + rate * rate * bend)
        return q, dq, ddq


class JointStop:
    """Each joint brakes as hard as it may."""

    kind = StopKind.JOINTS

    def __init__(self, start: State, jerk: Seven, braking: ruckig.Trajectory) -> None:
        self.start, self._braking = start, braking
        self.duration: float = braking.duration
        self._low, self._high = [], []
        for q, dq, ddq, j, end in zip(*start, jerk, braking.at_time(self.duration)[0], strict=True):
            # A joint that brakes harder than it needs swings back: it turns before the acceleration is taken away.
            turn = q + dq * abs(ddq) / j if dq * ddq < 0.0 and ddq * ddq > 2.0 * j * abs(dq) else q
            self._low.append(min(q, turn, end))
            self._high.append(max(q, turn, end))

    def reach(self) -> tuple[Seven, Seven]:
        return self._low, self._high

    def at(self, time_s: float) -> State:
        q, dq, ddq = self._braking.at_time(min(time_s, self.duration))
        return (q, dq, ddq) if time_s < self.duration else (q, [0.0] * 7, [0.0] * 7)


class StopPlanner:
    """Plans stops for one set of limits."""

    def __init__(self, limits: Limits, period_s: float) -> None:
        self._acceleration = [PLANNED * value for value in limits.acceleration]
        self._jerk = [PLANNED * value for value in limits.jerk]
        self._one, self._path = ruckig.Ruckig(1, period_s), braking_input(1)
        self._seven, self._joints = ruckig.Ruckig(7, period_s), braking_input(7)
        self._joints.max_acceleration, self._joints.max_jerk = self._acceleration, self._jerk

    def joints(self, q: Seven, dq: Seven, ddq: Seven) -> Stop | None:
        """The stop of each joint by itself. Exists from every state inside the limits; None where ruckig fails."""
        if not any(dq) and not any(ddq):
            return Rest(q)
        given = self._joints
        given.current_position, given.current_velocity, given.current_acceleration = q, dq, ddq
        braking = plan(self._seven, given)
        return JointStop((q, dq, ddq), self._jerk, braking) if braking else None

    def path(self, q: Seven, dq: Seven, ddq: Seven) -> Stop | None:
        """The stop along the path, or None where it would need more than the limits: then `joints`."""
        square = sum(v * v for v in dq)
        if square <= SLOW_RAD_S * SLOW_RAD_S:
            return None
        start = sum(v * a for v, a in zip(dq, ddq, strict=True)) / square  # of s'': the change of speed along the path
        bend = [a - v * start for v, a in zip(dq, ddq, strict=True)]
        budget = self._budget(dq, bend)
        if budget is None:
            return None
        acceleration, jerk = budget
        if abs(start) > acceleration:
            return None
        self._path.current_acceleration = [start]
        self._path.max_acceleration, self._path.max_jerk = [acceleration], [jerk]
        braking = plan(self._one, self._path)
        if braking is None:
            return None
        rate = 1.0 + max(0.0, start) ** 2 / (2.0 * jerk)  # greatest s': what was speeding up goes on for a moment
        length = braking.at_time(braking.duration)[0][0]
        if length * length * sum(c * c for c in bend) > MOST_TURN * MOST_TURN * square:
            return None
        if not self._fits(dq, bend, acceleration, jerk, rate, length):
            return None
        return PathStop((q, dq, ddq), bend, braking)

    def _budget(self, dq: Sequence[float], bend: Sequence[float]) -> tuple[float, float] | None:
        """Greatest s'' [1/s2] and s''' [1/s3] that leave every joint inside its limits, by a first estimate."""
        acceleration = min(
            (most - 2.0 * abs(c)) / (abs(v) + ROUNDING) for most, v, c in zip(self._acceleration, dq, bend, strict=True)
        )
        if acceleration <= 0.0:
            return None
        jerk = min(
            (most - 4.0 * abs(c) * acceleration) / (abs(v) + abs(c) / acceleration + ROUNDING)
            for most, v, c in zip(self._jerk, dq, bend, strict=True)
        )
        return (acceleration, jerk) if jerk > 0.0 else None

    def _fits(
        self, dq: Sequence[float], bend: Sequence[float], acceleration: float, jerk: float, rate: float, length: float
    ) -> bool:
        """Bounds of q'' = (dq + c s) s'' + c s'^2 and of its derivative hold along the whole stop."""
        for v, c, most, most_jerk in zip(dq, bend, self._acceleration, self._jerk, strict=True):
            speed, turn = abs(v) + abs(c) * length, abs(c)
            if speed * acceleration + turn * rate * rate > most:
                return False
            if speed * jerk + 3.0 * turn * rate * acceleration > most_jerk:
                return False
        return True


def plan(planner: ruckig.Ruckig, given: ruckig.InputParameter) -> ruckig.Trajectory | None:
    """The trajectory that ruckig finds, or None where it finds none."""
    way = ruckig.Trajectory(given.degrees_of_freedom)
    try:
        planner.calculate(given, way)
    except ruckig.RuckigError:
        return None
    return way


def braking_input(joints: int) -> ruckig.InputParameter:
    """A request to come to rest, each joint by itself, in the velocity interface."""
    given = ruckig.InputParameter(joints)
    given.control_interface = ruckig.ControlInterface.Velocity
    given.synchronization = ruckig.Synchronization.No
    given.current_position = [0.0] * joints
    given.current_velocity = [1.0] * joints
    given.target_velocity = given.target_acceleration = [0.0] * joints
    return given
