"""What the gate's tests share. Every test that takes `limits` or `gate` runs once per profile of the emulated cell."""

from collections.abc import Callable

import pytest

from hil.scenes import fr3
from runtime.cell import LimitsProfile, Workspace, load_cell
from runtime.gate.gate import Gate
from runtime.gate.limits import Limits, limits_of
from runtime.gate.types import ArmFacts, Candidate
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
