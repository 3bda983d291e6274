"""What the emulated Franka Hand does with a command: pure, one call per robot millisecond, no sockets, no clock.

The fingers are the plant's: whether something is between them is read from contact force there, never assumed. Times
and tolerances below are ours (the real hand's are not public); the order of events and the outcomes are libfranka's.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from hil.fci.hand_wire import Grasp, Homing, Move, Outcome

MAX_SPEED_M_S = 0.1  # both fingers together: 50 mm/s each (Franka Hand product manual)
MAX_FORCE_N = 140.0  # its peak; 70 N continuous
MOVE_FORCE_N = 30.0  # what a Move or Homing presses with against an obstacle (ours)
HOMING_SPEED_M_S = 0.05
REACHED_M = 0.0005
FINGERS_MEET_M = 0.001  # below it the fingers press on each other: nothing is held, however wide the window
SETTLE_MS = 30  # contact must last this long: a bounce is no grasp
LOST_MS = 100  # ... and be gone this long before the object counts as lost
STALL_MS = 300  # fingers that come no nearer to their target for this long are stopped by something ...
STALL_M = 0.0002  # ... nearer by this much, so slow commands get as many milliseconds as they need for it


class HandPlant(Protocol):
    """The fingers in the physics: widths [m] between them, contact by force."""

    @property
    def width_m(self) -> float: ...
    @property
    def max_width_m(self) -> float: ...
    @property
    def blocked(self) -> bool: ...
    def set_target(self, width_m: float, speed_m_s: float, force_n: float) -> None: ...
    def stop(self) -> None: ...


MotionCommand = Homing | Grasp | Move


def refusal(command: MotionCommand, max_width_m: float) -> str | None:
    """Why the hand will not start this command (answered with FAIL), or None."""
    if isinstance(command, Homing):
        return None
    values = command.__dict__
    for name, value in values.items():
        if not math.isfinite(value):
            return f"{name} is {value}"
    if not 0.0 <= command.width_m <= max_width_m + REACHED_M:
        return f"width {command.width_m:g} m: allowed 0 to {max_width_m:g} m"
    if command.speed_m_s <= 0.0:
        return f"speed {command.speed_m_s:g} m/s: must be above 0"
    if isinstance(command, Grasp):
        if command.force_n <= 0.0:
            return f"force {command.force_n:g} N: must be above 0"
        if command.epsilon_inner_m < 0.0 or command.epsilon_outer_m < 0.0:
            return f"window -{command.epsilon_inner_m:g} / +{command.epsilon_outer_m:g} m: neither side may be negative"
    return None


def beyond_the_hand(command: MotionCommand) -> str | None:
    """What the command asks of the hand that its motors do not give, and what they give; None where they do."""
    if isinstance(command, Homing):
        return None
    if command.speed_m_s > MAX_SPEED_M_S:
        return f"speed {command.speed_m_s:g} m/s: it moves at {MAX_SPEED_M_S:g} m/s"
    if isinstance(command, Grasp) and command.force_n > MAX_FORCE_N:
        return f"force {command.force_n:g} N: it presses with {MAX_FORCE_N:g} N"
    return None


@dataclass
class _Stall:
    """Notices fingers that no longer come nearer to their target."""

    limit_ms: int
    best_m: float = math.inf
    still_ms: int = 0

    def step(self, distance_m: float) -> bool:
        if distance_m < self.best_m - STALL_M:
            self.best_m, self.still_ms = distance_m, 0
        else:
            self.still_ms += 1
        return self.still_ms >= self.limit_ms


class HandMotion:
    """The running command and whether an object is held.

    `step()` is called once per millisecond after the physics; it returns the outcome when the running command ends.
    """

    def __init__(self, plant: HandPlant) -> None:
        self._plant = plant
        self.running: MotionCommand | None = None
        self.max_width_m = plant.max_width_m  # as homing found it; the travel of a new hand
        self._window: tuple[float, float] | None = None  # of the grasp that is pressing
        self.is_grasped = False
        self._touching_ms = 0
        self._lost_ms = 0
        self._target_m = plant.width_m
        self._stall = _Stall(STALL_MS)
        self._closing = False  # first half of homing

    def start(self, command: MotionCommand) -> None:
        """Begin a command (checked with `refusal`); what ran before is over, the caller has answered it."""
        self._let_go()
        self.running = command
        if isinstance(command, Homing):
            self._closing = True
            self._go(0.0, HOMING_SPEED_M_S, MOVE_FORCE_N)
        elif isinstance(command, Move):
            self._go(command.width_m, command.speed_m_s, MOVE_FORCE_N)
        else:
            self._window = (command.width_m - command.epsilon_inner_m, command.width_m + command.epsilon_outer_m)
            self._go(0.0, command.speed_m_s, min(command.force_n, MAX_FORCE_N))

    def halt(self) -> None:
        """Stop the fingers where they are and end a grasp's pressing."""
        self._let_go()
        self.running = None
        self._plant.stop()

    def abandon(self) -> None:
        """The client went: a running command stops, a finished grasp keeps its object."""
        if self.running is not None:
            self.halt()

    def step(self) -> Outcome | None:
        """One millisecond; returns how the running command ended, once."""
        self._touching_ms = self._touching_ms + 1 if self._plant.blocked else 0
        if self.is_grasped:
            self._lost_ms = 0 if self._plant.blocked and self._in_window() else self._lost_ms + 1
            if self._lost_ms >= LOST_MS:
                self.is_grasped = False  # it slipped or was taken; the fingers go on closing, as they were told
        if self.running is None:
            return None
        stalled = self._stall.step(abs(self._plant.width_m - self._target_m))
        if isinstance(self.running, Grasp):
            outcome = self._step_grasp(stalled)
        elif isinstance(self.running, Move):
            outcome = self._step_move(stalled)
        else:
            outcome = self._step_homing(stalled)
        if outcome is not None:
            self.running = None
        return outcome

    def _go(self, width_m: float, speed_m_s: float, force_n: float) -> None:
        self._target_m = width_m
        speed_m_s = min(speed_m_s, MAX_SPEED_M_S)
        self._stall = _Stall(max(STALL_MS, math.ceil(3000 * STALL_M / speed_m_s)))
        self._plant.set_target(width_m, speed_m_s, force_n)

    def _let_go(self) -> None:
        self._window = None
        self.is_grasped = False
        self._touching_ms = self._lost_ms = 0

    def _in_window(self) -> bool:
        if self._window is None:
            return False
        width_m = self._plant.width_m
        return width_m > FINGERS_MEET_M and self._window[0] < width_m < self._window[1]

    def _step_grasp(self, stalled: bool) -> Outcome | None:
        if self._plant.width_m <= FINGERS_MEET_M:
            return Outcome.UNSUCCESSFUL
        if self._touching_ms >= SETTLE_MS and self._stall.still_ms >= SETTLE_MS:
            self.is_grasped = self._in_window()
            return Outcome.SUCCESS if self.is_grasped else Outcome.UNSUCCESSFUL
        return Outcome.UNSUCCESSFUL if stalled else None  # stopped by what does not press on both fingers

    def _step_move(self, stalled: bool) -> Outcome | None:
        if abs(self._plant.width_m - self._target_m) <= REACHED_M:
            return Outcome.SUCCESS
        return Outcome.UNSUCCESSFUL if stalled else None

    def _step_homing(self, stalled: bool) -> Outcome | None:
        width_m = self._plant.width_m
        if self._closing:
            if width_m <= FINGERS_MEET_M:
                self._closing = False
                self._go(self._plant.max_width_m, HOMING_SPEED_M_S, MOVE_FORCE_N)
            return Outcome.UNSUCCESSFUL if stalled else None  # an object between the fingers: no true zero
        if abs(width_m - self._target_m) <= REACHED_M:
            self.max_width_m = width_m
            return Outcome.SUCCESS
        return Outcome.UNSUCCESSFUL if stalled else None
