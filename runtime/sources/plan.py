"""A planned motion: joint positions and velocities at even steps of path time, handed to rt as rows of a ring.

Planning (reading a file, inverse kinematics, timing) is done outside rt; rt takes the rows in, a few per tick, checks
them, and follows them with cubic Hermite interpolation. No file is ever read in the loop.
"""

import math
from dataclasses import dataclass

import numpy as np

from runtime.ring import RingWriter
from runtime.rows_rt import PLAN_SLOTS, SourceKind
from runtime.sources.base import Joints, PathSpeed, Target
from runtime.sources.hold import ZERO

SAMPLE_NS = 10_000_000
MAX_SAMPLES = PLAN_SLOTS - 8  # 327 s at 10 ms: all of it must be in the ring while rt takes it in
MIN_SAMPLE_NS, MAX_SAMPLE_NS = 1_000_000, 100_000_000
TAKEN_PER_TICK = 32


@dataclass(frozen=True)
class Plan:
    """A motion at even steps: `q`, `dq` are tuples of 7 [rad, rad/s], at rest at the first and the last sample."""

    arm: int  # index in the cell file's order
    sample_ns: int
    q: tuple[Joints, ...]
    dq: tuple[Joints, ...]

    @property
    def duration_s(self) -> float:
        return (len(self.q) - 1) * self.sample_ns * 1e-9


def write_plan(ring: RingWriter, plan_id: int, plan: Plan, now_ns: int) -> None:
    """Hand a plan to rt under an id (not 0) that the RUN request will name."""
    row = ring.row
    row["plan"], row["count"], row["arm"], row["sample_ns"] = plan_id, len(plan.q), plan.arm, plan.sample_ns
    for index, (q, dq) in enumerate(zip(plan.q, plan.dq, strict=True)):
        row["index"], row["q"], row["dq"] = index, q, dq
        ring.commit(now_ns)


class PlanIntake:
    """Collects the rows of one plan at a time; a row out of order or not finite spoils its plan, and says so by `bad`."""

    def __init__(self) -> None:
        self.ready: Plan | None = None
        self.ready_id = 0
        self.bad_id = 0
        self._id = 0
        self._arm = 0
        self._count = 0
        self._sample_ns = SAMPLE_NS
        self._q: list[Joints] = []
        self._dq: list[Joints] = []

    def take(self, row: np.void) -> None:
        """Take in one row of `rt.plan`."""
        plan_id, index, count = int(row["plan"]), int(row["index"]), int(row["count"])
        if index == 0:
            self._id, self._count, self._arm = plan_id, count, int(row["arm"])
            self._sample_ns = int(row["sample_ns"])
            self._q, self._dq = [], []
        if plan_id == self.bad_id and index != 0:
            return
        q, dq = tuple(row["q"].tolist()), tuple(row["dq"].tolist())
        fits = plan_id == self._id and index == len(self._q) < count == self._count <= MAX_SAMPLES
        fits = fits and MIN_SAMPLE_NS <= self._sample_ns <= MAX_SAMPLE_NS and self._count >= 2
        if not fits or not all(map(math.isfinite, q)) or not all(map(math.isfinite, dq)):
            self.bad_id, self._id = plan_id, 0
            return
        self._q.append(q)
        self._dq.append(dq)
        if len(self._q) == count:
            self.ready = Plan(self._arm, self._sample_ns, tuple(self._q), tuple(self._dq))
            self.ready_id = plan_id


class PlanSource:
    """Follows a plan from its start, or goes on from where it was held."""

    kind = SourceKind.WAYPOINTS
    guarded = False

    def __init__(self, plan_id: int, plan: Plan) -> None:
        self.plan, self._plan = plan_id, plan
        self._path = PathSpeed()
        self._step_s = plan.sample_ns * 1e-9

    def start_pose(self) -> Joints | None:
        return self._at(self._path.position, 0.0).q

    def begin(self, q: Joints, dq: Joints) -> None:
        self._path.velocity = self._path.slope = 0.0  # where it is on the path stays: a held motion goes on

    def advance(self, now_ns: int, period_s: float, speed: float) -> Target | None:
        velocity = self._path.step(speed, period_s)
        if self.done:
            self._path.velocity = self._path.slope = 0.0
            return Target(self._plan.q[-1], ZERO)
        return self._at(self._path.position, velocity)

    def _at(self, time_s: float, speed: float) -> Target:
        """Cubic Hermite between the two samples around `time_s`; velocities are of the path times `speed`."""
        index = min(int(time_s / self._step_s), len(self._plan.q) - 2)
        h = self._step_s
        x = time_s / h - index
        y = 1.0 - x
        h00, h10, h01, h11 = (1.0 + 2.0 * x) * y * y, x * y * y * h, x * x * (3.0 - 2.0 * x), -x * x * y * h
        d = 6.0 * x * y / h * speed
        d10, d11 = y * (1.0 - 3.0 * x) * speed, x * (3.0 * x - 2.0) * speed
        rows = zip(
            self._plan.q[index], self._plan.dq[index], self._plan.q[index + 1], self._plan.dq[index + 1], strict=True
        )
        q, dq = [], []
        for a, va, b, vb in rows:
            q.append(h00 * a + h10 * va + h01 * b + h11 * vb)
            dq.append(d * (b - a) + d10 * va + d11 * vb)
        return Target(tuple(q), tuple(dq))

    @property
    def done(self) -> bool:
        return self._path.position >= self._plan.duration_s

    @property
    def braked(self) -> bool:
        return self._path.at_rest

    @property
    def progress(self) -> float:
        return min(1.0, self._path.position / self._plan.duration_s)
