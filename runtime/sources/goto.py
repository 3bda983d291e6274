"""A straight move in joint space to one pose, at rest at both ends: approach to a start pose, and home."""

from collections.abc import Callable

from runtime.rows_rt import SourceKind
from runtime.sources.base import Joints, PathSpeed, Target
from runtime.sources.hold import ZERO

# Of p(x) = 10 x^3 - 15 x^4 + 6 x^5, x in 0..1: the largest first, second and third derivative.
PEAK_VELOCITY, PEAK_ACCELERATION, PEAK_JERK = 1.875, 10.0 / 3.0**0.5, 60.0
# How finely the way is looked at for the speed of tool and elbow.
SPEED_SAMPLES = 16
MIN_DURATION_S = 0.2
ARRIVED_RAD = 1e-9


class MoveLimits:
    """What a move may use of the arm: joint velocity, acceleration, jerk, and the speed of points on it [m/s].

    `points(q)` gives the positions [m] of the points whose speed is limited (tool, elbow); `point_speeds` their limits.
    """

    def __init__(
        self,
        velocity: Joints,
        acceleration: Joints,
        jerk: Joints,
        points: Callable[[Joints], tuple[tuple[float, float, float], ...]],
        point_speeds: tuple[float, ...],
    ) -> None:
        self.velocity, self.acceleration, self.jerk = velocity, acceleration, jerk
        self.points, self.point_speeds = points, point_speeds


def duration_s(start: Joints, end: Joints, limits: MoveLimits) -> float:
    """The shortest time [s] of the quintic move from `start` to `end` within the limits."""
    found = MIN_DURATION_S
    for a, b, v, acc, jerk in zip(start, end, limits.velocity, limits.acceleration, limits.jerk, strict=True):
        way = abs(b - a)
        found = max(
            found, PEAK_VELOCITY * way / v, (PEAK_ACCELERATION * way / acc) ** 0.5, (PEAK_JERK * way / jerk) ** (1 / 3)
        )
    previous = limits.points(start)
    for k in range(1, SPEED_SAMPLES + 1):
        x = k / SPEED_SAMPLES
        current = limits.points(tuple(a + (b - a) * x for a, b in zip(start, end, strict=True)))
        for p, q, limit in zip(previous, current, limits.point_speeds, strict=True):
            way = ((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2) ** 0.5 * SPEED_SAMPLES
            found = max(found, PEAK_VELOCITY * way / limit)
        previous = current
    return found


class GotoSource:
    """Goes to `end`. `kind` is HOME where the operator asked for it, else that of the source being approached."""

    guarded = True
    plan = 0

    def __init__(self, end: Joints, limits: MoveLimits, kind: SourceKind = SourceKind.HOME) -> None:
        self.kind = kind
        self._end, self._limits = end, limits
        self._start, self._duration = end, MIN_DURATION_S
        self._path = PathSpeed()

    def start_pose(self) -> Joints | None:
        return None

    def begin(self, q: Joints, dq: Joints) -> None:
        self._start, self._duration = q, duration_s(q, self._end, self._limits)
        self._path = PathSpeed()

    def advance(self, now_ns: int, period_s: float, speed: float) -> Target | None:
        self._path.step(speed, period_s)
        if self.done:
            self._path.velocity = self._path.slope = 0.0
            return Target(self._end, ZERO)
        x = self._path.position / self._duration
        p = x * x * x * (10.0 + x * (6.0 * x - 15.0))
        rate = 30.0 * x * x * (1.0 + x * (x - 2.0)) / self._duration * self._path.velocity
        return Target(
            tuple(a + (b - a) * p for a, b in zip(self._start, self._end, strict=True)),
            tuple((b - a) * rate for a, b in zip(self._start, self._end, strict=True)),
        )

    @property
    def done(self) -> bool:
        return self._path.position >= self._duration

    @property
    def braked(self) -> bool:
        return self._path.at_rest

    @property
    def progress(self) -> float:
        return min(1.0, self._path.position / self._duration)
