"""What the gate last commanded, and the stop that brings the arm to rest from there."""

from dataclasses import dataclass

from runtime.gate.finding import Finding
from runtime.gate.provenance import Origin
from runtime.gate.stop import Rest, Seven, Stop
from runtime.gate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Motion:
    """One command sent, and the stop verified before it was. Replaced as a whole every tick.

    Attributes:
        q, dq, ddq: (7,) the command [rad, rad/s, rad/s2]: the acceleration at its end, from which is planned on.
        rate: (7,) [rad/s] how fast the positions went over the period.
        dq_change, rate_change: (7,) [rad/s2] how `dq` and `rate` changed since the command before.
        stop: from the state in which it was planned; `elapsed` seconds of it have been run.
        slack: room [m] of the command, see `runtime/gate/space.py`.
    """

    q: Seven
    dq: Seven
    ddq: Seven
    rate: Seven
    dq_change: Seven
    rate_change: Seven
    stop: Stop
    elapsed: float
    slack: float

    @property
    def at_rest(self) -> bool:
        """The stop is at its end."""
        return self.elapsed >= self.stop.duration


def resting(q: Seven, slack: float) -> Motion:
    """The arm stands at `q`."""
    zero = [0.0] * 7
    return Motion(q, zero, zero, zero, zero, zero, Rest(q), 0.0, slack)


def braked(last: Motion, period_s: float) -> Motion:
    """One period further along the stored stop; at its end the arm holds."""
    elapsed = last.elapsed + period_s
    q, dq, ddq = last.stop.at(elapsed)
    rate = rates(q, last.q, period_s)
    changes = rates(dq, last.dq, period_s), rates(rate, last.rate, period_s)
    return Motion(q, dq, ddq, rate, *changes, last.stop, elapsed, last.slack)


def rates(new: Seven, old: Seven, period_s: float) -> Seven:
    """Difference over the period."""
    return [(a - b) / period_s for a, b in zip(new, old, strict=True)]


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
