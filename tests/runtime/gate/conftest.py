"""What the gate's tests share. Every test that takes `limits` or `gate` runs once per profile of the emulated cell."""

import math
from collections.abc import Callable

import pytest

from hil.scenes import fr3
from runtime.cell import LimitsProfile, Workspace, load_cell
from runtime.gate.gate import Gate
from runtime.gate.limits import Limits, limits_of
from runtime.gate.reasons import Reason
from runtime.gate.types import ArmFacts, Candidate, Decision
from runtime.gate.verdict import Verdict
from runtime.robot import RobotModel
from runtime.rows import DriverState, RobotMode

PERIOD_NS = 5_000_000
NOW_NS = 10**12
PROFILES = sorted(load_cell("emulated").limits.profiles)


@pytest.fixture(scope="session")
def robot() -> RobotModel:
    return RobotModel.from_urdf(fr3.urdf(), fr3.T_flange_ee_hand(), hand=True)


@pytest.fixture(scope="session", params=PROFILES)
def profile(request: pytest.FixtureRequest) -> LimitsProfile:
    return load_cell("emulated").limits.profiles[request.param]


@pytest.fixture(scope="session")
def workspace() -> Workspace:
    return load_cell("emulated").limits.workspace["main"]


@pytest.fixture(scope="session")
def home() -> list[float]:
    return list(load_cell("emulated").arms["main"].home_q_rad)


@pytest.fixture
def limits(robot: RobotModel, profile: LimitsProfile) -> Limits:
    return limits_of(robot, profile, PERIOD_NS * 1e-9)


@pytest.fixture(scope="session")
def kept_gate(robot: RobotModel, profile: LimitsProfile, workspace: Workspace) -> Gate:
    return Gate(robot, profile, workspace, PERIOD_NS)


@pytest.fixture
def gate(kept_gate: Gate, home: list[float]) -> Gate:
    """At rest at home."""
    kept_gate.reset(home)
    return kept_gate


@pytest.fixture
def candidate(robot: RobotModel, home: list[float]) -> Callable[..., Candidate]:
    """A good one for the tick at `now_ns`, with changes."""

    def make(now_ns: int = NOW_NS, **changes: object) -> Candidate:
        given: dict = {
            "produced_ns": now_ns,
            "due_ns": now_ns,
            "sequence": now_ns,
            "generation": 3,
            "source": 2,
            "session": 7,
            "joint_order": robot.joint_order,
            "frame": robot.frame,
            "q": home,
            "dq": [0.0] * 7,
        }
        return Candidate(**{**given, **changes})

    return make


@pytest.fixture
def facts(home: list[float]) -> Callable[..., ArmFacts]:
    """Of a well arm at home, with changes."""

    def make(now_ns: int = NOW_NS, **changes: object) -> ArmFacts:
        given: dict = {
            "stamp_ns": now_ns,
            "q": home,
            "wrench_base": [0.0] * 6,
            "driver_state": int(DriverState.OK),
            "robot_mode": int(RobotMode.MOVE),
        }
        return ArmFacts(**{**given, **changes})

    return make


class Drive:
    """Ticks a gate with targets, and remembers what came of it."""

    def __init__(
        self, gate: Gate, candidate: Callable[..., Candidate], facts: Callable[..., ArmFacts], start: list[float]
    ) -> None:
        self.gate, self._candidate, self._facts = gate, candidate, facts
        self.now_ns, self.start, self.time_s = NOW_NS, start, 0.0
        self.decision: Decision | None = None
        self.speed = 1.0

    def tick(self, q: list[float] | None = None, dq: list[float] | None = None, **changes: object) -> Decision:
        """One period on; without `q` there is no candidate."""
        self.now_ns += PERIOD_NS
        last = self.start if self.decision is None else self.decision.q
        given = None if q is None else self._candidate(self.now_ns, q=q, dq=dq, **changes)
        self.decision = self.gate.decide(self.now_ns, given, self._facts(self.now_ns, q=last), True, True, self.speed)
        return self.decision

    def target(self, size: float = 0.1, rate: float = 4.0) -> tuple[list[float], list[float]]:
        """The next point of a smooth swing of joints 1, 4 and 6 about the start, which begins and stays inside the limits."""
        self.time_s += PERIOD_NS * 1e-9
        t = self.time_s
        turned, turning = size * (1.0 - math.cos(rate * t)), size * rate * math.sin(rate * t)
        parts = (1.0, 0.0, 0.0, 0.5, 0.0, -0.5, 0.0)
        return [a + b * turned for a, b in zip(self.start, parts, strict=True)], [b * turning for b in parts]

    def swing(self, ticks: int) -> Decision:
        """Follow the swing."""
        for _ in range(ticks):
            decision = self.tick(*self.target())
            assert (decision.verdict, decision.reason) == (Verdict.PASS, Reason.NONE)
        return decision


@pytest.fixture
def drive(gate: Gate, candidate: Callable[..., Candidate], facts: Callable[..., ArmFacts], home: list[float]) -> Drive:
    return Drive(gate, candidate, facts, home)
