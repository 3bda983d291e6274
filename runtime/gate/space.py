"""Check 7: where tool and links are: inside the workspace, off walls and keep-outs, off each other."""

from collections.abc import Sequence
from typing import NamedTuple

from runtime.cell import Box, Workspace
from runtime.clearance import Clearance, PairKind
from runtime.gate.finding import Finding
from runtime.gate.reasons import Reason
from runtime.robot import RobotModel

# Kept in addition to every distance: between two samples along a stop the distance can dip. For arcs of 10 mm around
# bodies of 80 mm that is chord^2 / (8 radius) = 0.2 mm; joints that stop one after the other bend the way more.
DIP_M = 0.001
_REASONS = {PairKind.SELF: Reason.CLEARANCE, PairKind.HALF_SPACE: Reason.HALF_SPACE, PairKind.KEEP_OUT: Reason.KEEP_OUT}


class Room(NamedTuple):
    """How much room is left [m] (negative: too near), and what is nearest."""

    slack: float
    reason: Reason
    where: int


def inside(point: Sequence[float], boxes: Sequence[Box]) -> float:
    """How deep [m] a point is inside the box in which it is deepest; negative outside of all."""
    return max(
        min(half / 2 - abs(x - center) for x, center, half in zip(point, box.center_m, box.size_m, strict=True))
        for box in boxes
    )


class Space:
    """The room of one arm."""

    def __init__(self, robot: RobotModel, workspace: Workspace, clearance_m: float) -> None:
        self.clearance = Clearance(robot, workspace, clearance_m)
        self._boxes = workspace.inside
        self._reasons = [_REASONS[kind] for kind in self.clearance.kinds]

    def room(self, q: Sequence[float], tcp: Sequence[float]) -> Room:
        """At joint positions (7,) [rad] with the end effector at `tcp` [m]."""
        slack, pair = self.clearance.slack(q)
        found = Room(slack - DIP_M, self._reasons[pair], pair)
        if self._boxes:
            depth = inside(tcp, self._boxes) - DIP_M
            if depth < found.slack:
                found = Room(depth, Reason.OUTSIDE_WORKSPACE, 0)
        return found


def check_room(room: Room, before: float) -> Finding | None:
    """Enough room; an arm that already has less (`before`: slack of the last command) may only gain some."""
    limit = min(0.0, before)
    if not room.slack >= limit:
        return Finding(room.reason, -room.slack, -limit, room.where)
    return None
