"""Bringing the arm to rest, and verifying it: a ladder of ever harder means, each with its time.

The smooth stop motion first; then the robot's own stop command; then the connection is cut, which no stuck call of the
client library can prevent, and which makes the robot stop by itself. Verified means: fresh states, no motion, no speed.
"""

from enum import IntEnum

from drivers.franka.activity import Outcome
from drivers.franka.bounded import Call
from drivers.franka.link import Link
from drivers.franka.view import RobotView
from runtime.rows import ArmActivity, RequestStatus, Severity

# A robot may take 1.21 s to report the end of a motion (seen on an FR3), a stop from full speed 0.3 s.
HARD_NS = 2_000_000_000
CUT_NS = 3_000_000_000
BOUND_NS = 6_000_000_000


class Rung(IntEnum):
    """How far up the ladder a stop had to go."""

    SMOOTH = 0
    HARD = 1
    CUT = 2


def rung_at(elapsed_ns: int) -> Rung:
    """The means in use after this time without a verified stop."""
    if elapsed_ns >= CUT_NS:
        return Rung.CUT
    return Rung.HARD if elapsed_ns >= HARD_NS else Rung.SMOOTH


_HOW = {
    Rung.SMOOTH: "",
    Rung.HARD: " (by the robot's own stop command)",
    Rung.CUT: " (by cutting the connection: the client library did not come back)",
}


class Stopping:
    """The arm is being brought to rest because of `why`; ends when that is verified, or at `BOUND_NS`."""

    kind = ArmActivity.STOPPING

    def __init__(self, link: Link, view: RobotView, why: str, request_id: int, now_ns: int) -> None:
        self.request_id, self.why = request_id, why
        self._link, self._began_ns = link, now_ns
        self._rung = Rung.SMOOTH
        view.still_states = 0  # what was seen before the stop proves nothing
        self._call: Call | None = link.stop_smoothly() if link.connected else None

    def step(self, view: RobotView, now_ns: int) -> Outcome | None:
        """Climb the ladder as long as the arm is not verified to be at rest."""
        elapsed_ns = now_ns - self._began_ns
        settled = self._call is None or (self._call.done and view.stamp_ns > self._call.done_ns)
        if self._link.connected and settled and view.still:
            text = f"the arm is at rest{_HOW[self._rung]}: {self.why}"
            return Outcome(text, RequestStatus.DONE, "stopped")
        if elapsed_ns >= BOUND_NS:
            text = (
                f"the arm could not be verified to be at rest within {BOUND_NS / 1e9:g} s ({self.why}): "
                "press the emergency stop if it moves"
            )
            return Outcome(text, RequestStatus.FAILED, "stop.unverified", Severity.ERROR)
        rung = rung_at(elapsed_ns)
        if rung > self._rung and self._link.connected:
            self._rung = rung
            if rung is Rung.HARD:
                self._call = self._link.stop_hard()
            else:
                self._call = None
                lost = f"no stop was verified within {CUT_NS / 1e9:g} s and the client library does not come back"
                return Outcome(lost, None, "stop.cut", Severity.ERROR, link_lost=lost)
        return None
