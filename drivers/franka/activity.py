"""What the arm driver is busy with: one activity at a time, each a small object that is stepped and says how it ended."""

from dataclasses import dataclass
from typing import Protocol

from drivers.franka.view import RobotView
from runtime.rows import ArmActivity, RequestStatus, Severity


@dataclass(frozen=True)
class Outcome:
    """What a step of an activity led to.

    Attributes:
        text: for the operator.
        status: how its request ended; None: it goes on (with `link_lost` only).
        code: of the event.
        severity: of the event.
        stop: bring the arm to rest now.
        link_lost: why the connection must be cut and built anew, if it must.
    """

    text: str
    status: RequestStatus | None
    code: str
    severity: Severity = Severity.INFO
    stop: bool = False
    link_lost: str = ""


class Activity(Protocol):
    """Something the driver does over many turns."""

    @property
    def kind(self) -> ArmActivity: ...

    @property
    def request_id(self) -> int:
        """The request that it answers; 0: none."""
        ...

    def step(self, view: RobotView, now_ns: int) -> Outcome | None:
        """Go on; the outcome when it ended."""
        ...
