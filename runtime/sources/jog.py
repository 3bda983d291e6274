"""Jog: joint velocities from an operator's keys or stick, ramped, and dead as soon as they stop coming."""

from runtime.rows_rt import SourceKind
from runtime.sources.base import Joints, Ramp, Target

FRESH_NS = 100_000_000  # a teleoperator's hold counts for at most 100 ms
SHORT_OF_LIMIT_RAD = 1e-3  # a jerk-limited ramp cannot stop on the spot


class JogSource:
    """Follows the newest joint velocities [rad/s], each clipped to `velocity`, within `acceleration` and `jerk`.

    Before a joint limit (`lower`, `upper` [rad]) it slows down by itself, so that leaning on a limit is no misuse.
    """

    kind = SourceKind.JOG
    guarded = False
    plan = 0
    done = False
    progress = 0.0

    def __init__(self, lower: Joints, upper: Joints, velocity: Joints, acceleration: Joints, jerk: Joints) -> None:
        self._lower, self._upper, self._velocity = lower, upper, velocity
        self._acceleration, self._jerk = acceleration, jerk
        self._joints: list[Ramp] = []
        self._aim: Joints = (0.0,) * 7
        self._aim_ns = -FRESH_NS - 1

    def start_pose(self) -> Joints | None:
        return None

    def begin(self, q: Joints, dq: Joints) -> None:
        self._joints = [
            Ramp(rate, jerk, position, velocity)
            for rate, jerk, position, velocity in zip(self._acceleration, self._jerk, q, dq, strict=True)
        ]

    def aim(self, velocities: Joints, stamp_ns: int) -> None:
        """New joint velocities [rad/s], given at `stamp_ns`."""
        self._aim, self._aim_ns = velocities, stamp_ns

    def fresh(self, now_ns: int) -> bool:
        """The operator's hand is there: the newest velocities are young enough."""
        return now_ns - self._aim_ns <= FRESH_NS

    def advance(self, now_ns: int, period_s: float, speed: float) -> Target | None:
        fresh = self.fresh(now_ns)
        for k, joint in enumerate(self._joints):
            aim = self._aim[k] * speed if fresh else 0.0
            room = self._upper[k] - joint.position if aim > 0.0 else joint.position - self._lower[k]
            room -= SHORT_OF_LIMIT_RAD
            # Braking at half the rate, less what is covered until the ramp brakes at all.
            room -= abs(joint.velocity) * (joint.rate / joint.jerk + period_s)
            cap = min(self._velocity[k], (joint.rate * room) ** 0.5 if room > 0.0 else 0.0)
            joint.step(max(-cap, min(cap, aim)), period_s)
        return Target(tuple(one.position for one in self._joints), tuple(one.velocity for one in self._joints))

    @property
    def braked(self) -> bool:
        return all(joint.velocity == 0.0 for joint in self._joints)
