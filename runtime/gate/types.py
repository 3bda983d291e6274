"""What goes into the gate and what comes out, once per tick. Plain Python numbers: no arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from runtime.gate.reasons import Reason
from runtime.gate.verdict import Verdict


class Kind(IntEnum):
    """What a candidate says where the arm should be."""

    JOINT = 0
    CARTESIAN = 1


@dataclass(slots=True)
class Candidate:
    """What a source wants at this tick.

    Attributes:
        produced_ns: when the source produced it; its age counts from here.
        due_ns: the tick it is meant for.
        sequence: strictly increasing within a generation.
        generation: of the modes; may only grow. Within one, source and session stay the same.
        source: who holds the lease.
        session: nonce of the producing process (0 for sources inside rt).
        joint_order, frame: `RobotModel.joint_order` and `RobotModel.frame` that the source was made for.
        q: (7,) [rad], of kind JOINT.
        dq: (7,) [rad/s]; None: the gate takes the difference to the last command.
        T_base_ee: (16,) row-major pose of the end effector in the robot's base, of kind CARTESIAN.
        guarded: a contact ends the move: the window of external force is tighter (home and reset moves).
        trace: follows the command into the records; the gate does not look at it.
    """

    produced_ns: int
    due_ns: int
    sequence: int
    generation: int
    source: int
    session: int
    joint_order: int
    frame: int
    q: Sequence[float] | None = None
    dq: Sequence[float] | None = None
    kind: Kind = Kind.JOINT
    T_base_ee: Sequence[float] | None = None
    guarded: bool = False
    trace: int = 0


@dataclass(slots=True)
class ArmFacts:
    """What the arm's newest state row says. `driver_state` and `robot_mode` as in `runtime/rows.py`.

    Attributes:
        stamp_ns: of the row.
        q: (7,) measured [rad].
        wrench_base: (6,) estimated external force [N] and torque [Nm] in base axes.
    """

    stamp_ns: int
    q: Sequence[float]
    wrench_base: Sequence[float]
    driver_state: int
    robot_mode: int


@dataclass(slots=True)
class Decision:
    """What is to be sent this tick, and why.

    Attributes:
        reason, value, limit, where: the finding; `where` is a joint's number (1 to 7), an index, or 0. See `describe`.
        q, dq, ddq: (7,) each [rad, rad/s, rad/s2]: send these, whatever the verdict.
        stopping: a stop is running and not yet at its end.
        at_rest: the command stands still.
    """

    verdict: Verdict
    reason: Reason
    value: float
    limit: float
    where: int
    q: list[float]
    dq: list[float]
    ddq: list[float]
    stopping: bool
    at_rest: bool
