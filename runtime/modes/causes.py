"""The table of causes: what can be wrong or asked for, what it does, how it clears, who may take over, what to tell people.

A new cause is a number in `Cause` and a row in `CAUSES`. Numbers are in recordings: never reuse one.
"""

from dataclasses import dataclass
from enum import IntEnum

from runtime.rows import RequestKind, Severity


class Action(IntEnum):
    """What a cause does to the arm; the worst of all causes in effect wins."""

    NONE = 0
    WARN = 1  # told to the operator, nothing else
    SLOW = 2  # go on along the path at `SLOW_FACTOR`
    HOLD = 3  # brake along the path and hold
    STOP = 4  # the gate's stored stop, then hold
    TRIP = 5  # the gate's stored stop, then FAULT


class Clear(IntEnum):
    """What ends a cause once its condition is gone."""

    BY_ITSELF = 0
    OPERATOR = 1  # an acknowledgement
    RE_ARM = 2  # passing through DISARMED
    RESTART = 3  # a restart of rt


class Cause(IntEnum):
    """Bit number in masks and number in rows. 0 is no cause."""

    NONE = 0
    OPERATOR_STOP = 1
    OPERATOR_HOLD = 2
    TICKS_LATE = 3
    TICKS_VERY_LATE = 4
    TICK_GAP = 5
    ARM_STATE_LATE = 6
    ARM_STATE_LOST = 7
    ARM_REFLEX = 8
    ARM_USER_STOP = 9
    ARM_LINK_DEAD = 10
    ARM_PLANNER_ERROR = 11
    ARM_NOT_READY = 12
    DRIVER_REJECTED = 13
    DRIVER_WATCHDOG = 14
    DRIVER_LEFT = 15
    ACK_DIFFERS = 16
    ACK_LATE = 17
    GATE_STOP = 18
    GATE_TRIP = 19
    SOURCE_DONE = 20
    SOURCE_DRY = 21
    SOURCE_BROKEN = 22
    DEADMAN = 23
    CONTACT = 24
    SUPERVISOR_LOST = 25
    PROCESS_DEAD = 26
    CAMERA_DEAD = 27
    MONITOR_SLOW = 28
    MONITOR_HOLD = 29
    MONITOR_STOP = 30
    LATCH_KEPT = 31
    ROBOT_CHANGED = 32
    NO_LIMITS = 33


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One cause.

    `by_request` causes are raised by a request of the supervisor and latch in every mode, also in DISARMED: a stop asked
    for during start-up must not be forgotten. All others are conditions that rt finds each tick; they latch (unless they
    clear by themselves) only where the arm is armed. `recovery` is what the supervisor asks of the driver once the
    operator has acknowledged; without one the condition must be gone before the acknowledgement counts.
    """

    cause: Cause
    severity: Severity
    action: Action
    clear: Clear
    takeover: bool  # a teleoperator may take over while this is in effect
    text: str
    remedy: str
    by_request: bool = False
    recovery: RequestKind | None = None


_I, _W, _E = Severity.INFO, Severity.WARNING, Severity.ERROR
_A, _C = Action, Clear

_ROWS = (
    CauseRow(Cause.OPERATOR_STOP, _W, _A.TRIP, _C.OPERATOR, False, "stopped by the operator",
             "look at the arm, then 'sinew ack'", by_request=True),
    CauseRow(Cause.OPERATOR_HOLD, _I, _A.HOLD, _C.BY_ITSELF, False, "held by the operator", "run again",
             by_request=True),
    CauseRow(Cause.TICKS_LATE, _W, _A.SLOW, _C.BY_ITSELF, True, "ticks of the loop are late: going slower",
             "close other programs on this machine; 'sinew bench loop' shows who is late"),
    CauseRow(Cause.TICKS_VERY_LATE, _W, _A.HOLD, _C.OPERATOR, False, "too many ticks of the loop are late: holding",
             "close other programs, check that FIFO was granted ('sinew check'), then 'sinew ack'"),
    CauseRow(Cause.TICK_GAP, _E, _A.STOP, _C.RE_ARM, False, "the loop stood still for longer than loop.stop_gap_ms",
             "find what froze the machine, then disarm and arm again"),
    CauseRow(Cause.ARM_STATE_LATE, _W, _A.HOLD, _C.BY_ITSELF, False, "the arm's state is late: holding",
             "wait, or look at the driver's messages; then run again"),
    CauseRow(Cause.ARM_STATE_LOST, _E, _A.TRIP, _C.OPERATOR, False, "the arm's state has stopped coming",
             "check that the arm driver runs and the robot's network cable is in, then 'sinew ack'"),
    CauseRow(Cause.ARM_REFLEX, _E, _A.TRIP, _C.OPERATOR, False, "the robot stopped by its own reflex",
             "free the arm from what it touched, then 'sinew ack' (this recovers the robot)",
             recovery=RequestKind.RECOVER),
    CauseRow(Cause.ARM_USER_STOP, _E, _A.TRIP, _C.OPERATOR, False, "the hardware user stop is pressed",
             "release the user stop when nobody is in reach of the arm, then 'sinew ack'"),
    CauseRow(Cause.ARM_LINK_DEAD, _E, _A.TRIP, _C.OPERATOR, False, "the connection to the robot is dead",
             "check the network cable and that the robot is on, then 'sinew ack' (this connects anew)",
             recovery=RequestKind.RECONNECT),
    CauseRow(Cause.ARM_PLANNER_ERROR, _E, _A.TRIP, _C.OPERATOR, False, "the driver's motion planner failed",
             "read the driver's message, then 'sinew ack'", recovery=RequestKind.RECOVER),
    CauseRow(Cause.ARM_NOT_READY, _E, _A.TRIP, _C.OPERATOR, False,
             "the robot cannot move: brakes closed, guiding, or not in execution mode",
             "open the brakes and set the robot to execution in Desk, then 'sinew ack'"),
    CauseRow(Cause.DRIVER_REJECTED, _E, _A.TRIP, _C.OPERATOR, False, "the driver's last word refused a command row",
             "this is a bug or a wrong limits profile: keep the black box; then 'sinew ack'"),
    CauseRow(Cause.DRIVER_WATCHDOG, _E, _A.TRIP, _C.OPERATOR, False, "the driver's watchdog stopped the arm",
             "commands came too late: look at the loop's timing, then 'sinew ack'"),
    CauseRow(Cause.DRIVER_LEFT, _E, _A.TRIP, _C.OPERATOR, False, "the driver stopped following while the arm was moving",
             "read the driver's message, then 'sinew ack'"),
    CauseRow(Cause.ACK_DIFFERS, _E, _A.TRIP, _C.OPERATOR, False, "the driver applied another command than rt sent",
             "two programs may command the arm: keep the black box, then 'sinew ack'"),
    CauseRow(Cause.ACK_LATE, _E, _A.TRIP, _C.OPERATOR, False, "the driver no longer acknowledges commands",
             "look at the driver's messages, then 'sinew ack'"),
    CauseRow(Cause.GATE_STOP, _W, _A.STOP, _C.OPERATOR, False, "the gate stopped the arm",
             "the gate's reason says which check and by how much; 'sinew ack', then run again"),
    CauseRow(Cause.GATE_TRIP, _E, _A.TRIP, _C.OPERATOR, False, "the gate tripped",
             "the gate's reason says which check and by how much; keep the black box, then 'sinew ack'"),
    CauseRow(Cause.SOURCE_DONE, _I, _A.HOLD, _C.BY_ITSELF, True, "the motion is finished: holding", "run the next one"),
    CauseRow(Cause.SOURCE_DRY, _W, _A.HOLD, _C.BY_ITSELF, True, "the source has no more actions: holding",
             "check the policy server, then run again"),
    CauseRow(Cause.SOURCE_BROKEN, _E, _A.STOP, _C.OPERATOR, False, "the source of commands failed",
             "look at its messages, then 'sinew ack'"),
    CauseRow(Cause.DEADMAN, _W, _A.STOP, _C.BY_ITSELF, False, "the dead-man's switch was let go, or its link is late",
             "press it again and take over again"),
    CauseRow(Cause.CONTACT, _W, _A.STOP, _C.OPERATOR, True, "the arm touched something during a guarded move",
             "clear its way, 'sinew ack', then run again"),
    CauseRow(Cause.SUPERVISOR_LOST, _E, _A.TRIP, _C.OPERATOR, False, "the supervisor's heartbeat has stopped",
             "start it again: the latch is kept; then 'sinew ack'"),
    CauseRow(Cause.PROCESS_DEAD, _E, _A.TRIP, _C.OPERATOR, False, "a process of the cell died",
             "the supervisor says which one and why; then 'sinew ack'", by_request=True),
    CauseRow(Cause.CAMERA_DEAD, _E, _A.STOP, _C.OPERATOR, True, "a camera that the policy needs has stopped",
             "check its USB 3 cable, then 'sinew ack'", by_request=True),
    CauseRow(Cause.MONITOR_SLOW, _W, _A.SLOW, _C.OPERATOR, True, "a monitor is uneasy: going slower",
             "watch the arm; 'sinew ack' gives full speed back", by_request=True),
    CauseRow(Cause.MONITOR_HOLD, _W, _A.HOLD, _C.OPERATOR, True, "a monitor asks for help: holding",
             "take over, or 'sinew ack' and run again", by_request=True),
    CauseRow(Cause.MONITOR_STOP, _E, _A.TRIP, _C.OPERATOR, False, "a monitor stopped the arm",
             "the monitor's message says why; then 'sinew ack'", by_request=True),
    CauseRow(Cause.LATCH_KEPT, _W, _A.TRIP, _C.OPERATOR, False, "a fault of an earlier session was never acknowledged",
             "look at the arm, then 'sinew ack'", by_request=True),
    CauseRow(Cause.ROBOT_CHANGED, _E, _A.TRIP, _C.RESTART, False, "another robot answers than the one rt has limits for",
             "stop the cell and start it again"),
    CauseRow(Cause.NO_LIMITS, _E, _A.TRIP, _C.BY_ITSELF, False, "the robot's limits are not known yet",
             "wait until the driver has connected, then arm"),
)  # fmt: skip

CAUSES: dict[Cause, CauseRow] = {row.cause: row for row in _ROWS}


def bit(cause: Cause) -> int:
    """The mask of one cause."""
    return 1 << cause


def mask_of(rows: tuple[CauseRow, ...] | list[CauseRow]) -> int:
    """The mask of several."""
    mask = 0
    for row in rows:
        mask |= bit(row.cause)
    return mask


def causes_in(mask: int) -> list[Cause]:
    """The causes whose bits are set, lowest number first."""
    return [cause for cause in CAUSES if mask >> cause & 1]


BY_REQUEST = mask_of([row for row in _ROWS if row.by_request])
LATCHING = mask_of([row for row in _ROWS if row.clear is not Clear.BY_ITSELF])
CLEARED_BY_OPERATOR = mask_of([row for row in _ROWS if row.clear is Clear.OPERATOR])
CLEARED_BY_RE_ARM = mask_of([row for row in _ROWS if row.clear is Clear.RE_ARM])
RECOVERABLE = mask_of([row for row in _ROWS if row.recovery is not None])
NO_TAKEOVER = mask_of([row for row in _ROWS if not row.takeover])
BY_ACTION: tuple[tuple[Action, int], ...] = tuple(
    (action, mask_of([row for row in _ROWS if row.action is action])) for action in sorted(Action, reverse=True)
)


def worst(mask: int) -> tuple[Action, Cause]:
    """The worst action among the causes in a mask, and the lowest-numbered cause that asks for it."""
    for action, of_action in BY_ACTION:
        hit = mask & of_action
        if hit:
            return action, causes_in(hit)[0]
    return Action.NONE, Cause.NONE


def describe(cause: Cause) -> str:
    """Text and remedy in one line, for people."""
    if cause is Cause.NONE:
        return "nothing is wrong"
    row = CAUSES[cause]
    return f"{row.text}: {row.remedy}"
