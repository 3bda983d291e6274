"""What the gate last commanded, and the stop that brings the arm to rest from there."""

from dataclasses import dataclass

from runtime.gate.finding import Finding
from runtime.gate.provenance import Origin
from runtime.gate.stop import Seven, Stop
from runtime.gate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Motion:
    """One command sent, and the stop verified before it was. Replaced as a whole every tick.

    Attributes:
        q, dq, ddq: (7,) the command [rad, rad/s, rad/s2]: the acceleration at its end, from which is planned on.
        change: (7,) [rad/s2] mean acceleration over the period: what a recording of the commands shows.
        stop: from the state in which it was planned; `elapsed` seconds of it have been run.
        slack: room [m] of the command, see `runtime/gate/space.py`.
    """

    q: Seven
    dq: Seven
    ddq: Seven
    change: Seven
    stop: Stop
    elapsed: float
    slack: float

    @property
    def at_rest(self) -> bool:
        return self.elapsed >= self.stop.duration


@dataclass(frozen=True, slots=True)
class Memory:
    """All that the gate keeps from tick to tick, but for its windows.

    Attributes:
        origin: of the last candidate, None since a reset.
        heard_ns: when a candidate was last taken.
        shapes: how many commands in a row were changed.
        factor: share of the speed limits in force.
        latched, finding: the verdict that started a stop which must run to its end; PASS if there is none.
    """

    motion: Motion
    origin: Origin | None
    heard_ns: int
    shapes: int
    factor: float
    latched: Verdict
    finding: Finding
