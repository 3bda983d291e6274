"""What a source of fuzz sees, and what it asks of the gate in one tick."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pinocchio as pin

from hil.fuzz.bounds import Bounds
from hil.fuzz.history import PASS, STOP
from hil.scenes import fr3
from runtime.gate.types import ArmFacts, Candidate, Kind
from runtime.rows import DriverState, RobotMode

MS = 1_000_000


@dataclass
class Ask:
    """One call of `Gate.decide`, with what was planted in it.

    Attributes:
        must: the mildest verdict that this input allows.
        abort: the group stops in this tick: `Gate.abort` follows.
    """

    candidate: Candidate | None
    facts: ArmFacts | None
    armed: bool = True
    deadman_ok: bool = True
    speed: float = 1.0
    must: int = PASS
    abort: bool = False


class Tool:
    """Jacobians for the sources (pinocchio)."""

    def __init__(self) -> None:
        self.model = pin.buildModelFromXML(fr3.urdf())
        flange = self.model.frames[self.model.getFrameId("link8")]
        placement = flange.placement * pin.SE3(fr3.T_flange_ee_hand())
        self._ee = self.model.addFrame(pin.Frame("ee", flange.parentJoint, placement, pin.FrameType.OP_FRAME))
        self.data = self.model.createData()

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        """(6, 7) of the end effector in base axes."""
        return pin.computeFrameJacobian(self.model, self.data, q, self._ee, pin.LOCAL_WORLD_ALIGNED)

    def pose(self, q: np.ndarray) -> np.ndarray:
        """(4, 4) T_base_ee."""
        pin.forwardKinematics(self.model, self.data, q)
        return pin.updateFramePlacement(self.model, self.data, self._ee).homogeneous


@dataclass
class Situation:
    """The world of one episode: what was sent last, time, names. The runner keeps it up to date.

    Attributes:
        pool: (n, 7) poses inside every limit [rad].
        now_ns: of the tick being asked for.
        taken: the last candidate, if the gate took it in the tick before (so that it knows its origin), else None.
        clock: how time goes on: `exact`, `late` or `burst`.
    """

    rng: np.random.Generator
    bounds: Bounds
    tool: Tool
    pool: np.ndarray
    period_s: float
    joint_order: int
    frame: int
    q: np.ndarray
    dq: np.ndarray
    ddq: np.ndarray
    now_ns: int = 10**12
    sequence: int = 0
    generation: int = 1
    source: int = 1
    session: int = 7
    taken: Candidate | None = None
    clock: str = "exact"

    def facts(self) -> ArmFacts:
        """An arm that follows well and feels little."""
        return ArmFacts(
            self.now_ns - int(self.rng.integers(0, 3 * MS)),
            (self.q + 1e-4 * self.rng.standard_normal(7)).tolist(),
            self.rng.standard_normal(6).tolist(),
            int(DriverState.OK),
            int(RobotMode.MOVE),
        )

    def candidate(self, q: Sequence[float] | np.ndarray | None, dq: Sequence[float] | np.ndarray | None) -> Candidate:
        """With everything right but, maybe, the numbers: (7,) each."""
        self.sequence += 1
        return Candidate(
            produced_ns=self.now_ns, due_ns=self.now_ns, sequence=self.sequence, generation=self.generation,
            source=self.source, session=self.session, joint_order=self.joint_order, frame=self.frame,
            q=None if q is None else np.asarray(q, dtype=float).tolist(),
            dq=None if dq is None else np.asarray(dq, dtype=float).tolist(),
        )  # fmt: skip

    def pose_candidate(self, T_base_ee: np.ndarray) -> Candidate:
        """A Cartesian one: (4, 4)."""
        candidate = self.candidate(None, None)
        candidate.kind = Kind.CARTESIAN
        candidate.T_base_ee = np.asarray(T_base_ee, dtype=float).ravel().tolist()
        return candidate

    def ask(self, q: np.ndarray, dq: np.ndarray | None) -> Ask:
        """What a source with nothing wrong but its numbers asks: (7,) each."""
        return Ask(self.candidate(q, dq), self.facts(), must=self.must_for(q))

    def must_for(self, q: Sequence[float] | np.ndarray) -> int:
        """A step from the last command beyond the profile's limit must stop the arm."""
        step = np.abs(np.asarray(q, dtype=float) - self.q).max()
        return STOP if step > self.bounds.profile.jump_stop_rad else PASS

    def some_pose(self) -> np.ndarray:
        """(7,) inside every limit."""
        return self.pool[self.rng.integers(len(self.pool))]
