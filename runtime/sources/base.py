"""What every source of commands is, and how fast along its path it goes."""

from typing import NamedTuple, Protocol

from runtime.rows_rt import SourceKind

Joints = tuple[float, ...]  # 7 joint values [rad, rad/s]

# Along a path: 1 is nominal speed. From full speed to rest takes about half a second.
SPEED_RATE_1_S = 2.5
SPEED_JERK_1_S2 = 20.0


class Target(NamedTuple):
    """Where the arm should be at this tick: joint positions [rad] and velocities [rad/s]."""

    q: Joints
    dq: Joints


class Source(Protocol):
    """One holder of the lease. All state advances by one nominal period per `advance`, never by the clock."""

    kind: SourceKind
    guarded: bool  # a contact ends it: home and approach moves
    plan: int  # id of the plan that is being followed; 0: none

    def start_pose(self) -> Joints | None:
        """Where the arm must be when this source begins; None: wherever it is, moving or not."""
        ...

    def begin(self, q: Joints, dq: Joints) -> None:
        """Take over at the last command `q`, `dq` (gate's output)."""
        ...

    def advance(self, now_ns: int, period_s: float, speed: float) -> Target | None:
        """The target one period on, at `speed` (0 brakes along the path). None: nothing left to say."""
        ...

    @property
    def done(self) -> bool:
        """The end was reached."""
        ...

    @property
    def braked(self) -> bool:
        """The target stands still."""
        ...

    @property
    def progress(self) -> float:
        """Share of the way done, 0 to 1; 0 for a source without an end."""
        ...


class Ramp:
    """A velocity that follows its aim within an acceleration and a jerk limit, with its integral.

    One scalar: speed along a path, or one joint of a jog. Units are the caller's.
    """

    def __init__(self, rate: float, jerk: float, position: float = 0.0, velocity: float = 0.0) -> None:
        self.rate, self.jerk = rate, jerk
        self.position, self.velocity, self.slope = position, velocity, 0.0

    def step(self, aim: float, dt: float) -> float:
        """Go one step of `dt` [s] towards `aim`; returns the new velocity. Never overshoots it."""
        missing = aim - self.velocity
        # The slope that can still be taken back to zero by the time the aim is reached: a^2 / (2 j) = |missing|. Half a
        # step less, because the slope found here acts for a whole step.
        step_slope = self.jerk * dt
        reach = max(0.0, (2.0 * self.jerk * abs(missing) + 0.25 * step_slope * step_slope) ** 0.5 - 0.5 * step_slope)
        wanted = min(reach, self.rate) if missing >= 0.0 else -min(reach, self.rate)
        self.slope += max(-step_slope, min(step_slope, wanted - self.slope))
        before = self.velocity
        after = before + self.slope * dt
        if (missing >= 0.0) is (after >= aim) or abs(missing) <= min(step_slope, self.rate) * dt:
            after, self.slope = aim, 0.0
        self.velocity = after
        self.position += 0.5 * (before + after) * dt
        return after


class PathSpeed(Ramp):
    """Time along a path [s] and its speed (1 is nominal): braking happens on the path, not beside it."""

    def __init__(self) -> None:
        super().__init__(SPEED_RATE_1_S, SPEED_JERK_1_S2)

    def step(self, aim: float, dt: float) -> float:
        """As `Ramp.step`, but never backwards."""
        before = self.position
        if super().step(aim, dt) < 0.0:
            self.velocity = self.slope = 0.0
            self.position = before
        return self.velocity

    @property
    def at_rest(self) -> bool:
        return self.velocity == 0.0
