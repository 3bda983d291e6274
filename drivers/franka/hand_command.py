"""What a hand can be asked to do, checked before anything is sent: a `REQUEST` row becomes a `HandCommand` or a refusal."""

import math
from dataclasses import dataclass

import numpy as np

from runtime.rows import RequestKind

# Franka Hand product manual: 50 mm/s per finger, 70 N continuous grasping force, 80 mm travel.
MAX_SPEED_M_S = 0.1
MAX_FORCE_N = 70.0
MAX_TRAVEL_M = 0.08
WIDTH_TOLERANCE_M = 0.001  # homing finds the travel to about this

# Beyond the motion's nominal time: the call must be back, or something is wrong with the hand.
MARGIN_S = 10.0
HOMING_S = 30.0

MOTIONS = (RequestKind.HAND_HOMING, RequestKind.HAND_MOVE, RequestKind.HAND_GRASP)
_LIMITS = {
    "width": (0.0, None, "m"),  # the upper end is the hand's own, found by homing
    "speed": (0.0, MAX_SPEED_M_S, "m/s"),
    "force": (0.0, MAX_FORCE_N, "N"),
    "epsilon_inner": (0.0, MAX_TRAVEL_M, "m"),
    "epsilon_outer": (0.0, MAX_TRAVEL_M, "m"),
}
_FIELDS = {
    RequestKind.HAND_HOMING: (),
    RequestKind.HAND_MOVE: ("width", "speed"),
    RequestKind.HAND_GRASP: ("width", "speed", "force", "epsilon_inner", "epsilon_outer"),
}
_MUST_BE_POSITIVE = ("speed", "force")  # zero would never end, or hold nothing


@dataclass(frozen=True)
class HandCommand:
    """A motion of the hand: its arguments in the library's order [m, m/s, N, m, m] and how long it may take [s]."""

    kind: RequestKind
    arguments: tuple[float, ...]
    limit_s: float

    @property
    def text(self) -> str:
        """For people: 'move to 0.0400 m at 0.100 m/s'."""
        if self.kind is RequestKind.HAND_HOMING:
            return "homing"
        verb = "move to" if self.kind is RequestKind.HAND_MOVE else "grasp at"
        force = f" with {self.arguments[2]:.1f} N" if self.kind is RequestKind.HAND_GRASP else ""
        return f"{verb} {self.arguments[0]:.4f} m at {self.arguments[1]:.3f} m/s{force}"


def hand_command(request: np.void, max_width_m: float) -> HandCommand | str:
    """The motion that a `REQUEST` row asks for, or the reason why it is refused.

    Args:
        request: its `kind` is one of `MOTIONS`.
        max_width_m: the opening that homing found; NaN or 0 where the hand has not told one (the travel is used).
    """
    kind = RequestKind(int(request["kind"]))
    names = _FIELDS[kind]
    values = tuple(float(value) for value in request["values"][: len(names)])
    for name, value in zip(names, values, strict=True):
        low, high, unit = _LIMITS[name]
        if high is None:
            high = (max_width_m if max_width_m > 0 else MAX_TRAVEL_M) + WIDTH_TOLERANCE_M
        open_end = name in _MUST_BE_POSITIVE
        if not math.isfinite(value) or not low <= value <= high or (open_end and value == low):
            bracket = "more than" if open_end else "at least"
            return f"{name} {value:g} {unit}: allowed is {bracket} {low:g} and at most {high:g} {unit}"
    if kind is RequestKind.HAND_HOMING:
        return HandCommand(kind, (), HOMING_S)
    return HandCommand(kind, values, MAX_TRAVEL_M / values[1] + MARGIN_S)
