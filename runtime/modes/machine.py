"""The mode of a stop group as a pure function of (time, state, flags). It reads no clock and does nothing but decide.

    DISARMED -> ARMED -> APPROACH -> RUNNING | TAKEOVER | HOLD | STOPPING -> FAULT (latched) -> RECOVERING -> DISARMED

Nothing starts to move by itself: out of HOLD, ARMED and FAULT leads only a request. Nothing recovers a fault by itself:
FAULT is left by an acknowledgement, and DISARMED is reached only with every cause gone, commanded equal to measured, and
the arm still. Every change of mode is a new generation: whatever an earlier one left in flight is dead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from runtime.modes.causes import (
    BY_REQUEST,
    CLEARED_BY_OPERATOR,
    CLEARED_BY_RE_ARM,
    LATCHING,
    NO_TAKEOVER,
    RECOVERABLE,
    Action,
    Cause,
    worst,
)

# Slowest recovery seen on a real arm 7.3 s (franka_ros #317).
RECOVERY_LIMIT_NS = 15_000_000_000


class Mode(IntEnum):
    """What a stop group is doing."""

    DISARMED = 0  # rt writes no commands
    ARMED = 1  # holds; the driver may be enabled for this generation
    APPROACH = 2  # gated move to where the source starts
    RUNNING = 3
    TAKEOVER = 4  # a teleoperator has the lease
    HOLD = 5
    STOPPING = 6  # the gate's stored stop runs; left only when the arm is still
    FAULT = 7
    RECOVERING = 8


class Ask(IntEnum):
    """What a request asks of the machine; stops and holds are causes, not asks."""

    NONE = 0
    ARM = 1
    DISARM = 2
    RUN = 3
    TAKE_OVER = 4
    ACK = 5


class Refusal(IntEnum):
    """Why an ask was not followed; `runtime/loop/refusals.py` has the sentences."""

    NONE = 0
    WRONG_MODE = 1
    CAUSE = 2  # the cause in the modes row forbids it
    NOT_STILL = 3
    NOT_FOLLOWING = 4  # the driver is not enabled for this generation
    NO_SOURCE = 5
    BUMP = 6  # the source does not start where the arm is; values: per-joint differences
    SUPERSEDED = 7  # asked under an older generation
    BAD_VALUE = 8
    NOT_HELD = 9  # nobody holds the dead-man's switch of what wants to take over


ENERGISED = frozenset((Mode.ARMED, Mode.APPROACH, Mode.RUNNING, Mode.TAKEOVER, Mode.HOLD))
DRIVING = frozenset((Mode.APPROACH, Mode.RUNNING, Mode.TAKEOVER))
RESTING = frozenset((Mode.ARMED, Mode.HOLD))
COMMANDING = ENERGISED | {Mode.STOPPING}  # rt writes command rows


@dataclass(frozen=True, slots=True)
class Flags:
    """What the machine sees in one tick.

    Masks hold a bit per `Cause`. `active` are conditions found this tick and causes raised by a request in it.
    `still`: measured and commanded velocity have been zero for a while, by a fresh state. `braked`: commanded velocity is
    zero. `following`: the driver is enabled and follows our rows; `left`: it did and no longer does. `resynced`: the
    commanded position is the measured one.
    """

    active: int = 0
    ask: Ask = Ask.NONE
    still: bool = False
    braked: bool = False
    following: bool = False
    left: bool = False
    resynced: bool = False
    needs_approach: bool = False
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class ModeState:
    """Where a stop group stands. `cause` is why: the worst in effect, or, at rest, what led here."""

    mode: Mode = Mode.DISARMED
    generation: int = 1
    since_ns: int = 0
    latched: int = 0
    cause: Cause = Cause.NONE
    action: Action = Action.NONE


def update(now_ns: int, state: ModeState, flags: Flags) -> tuple[ModeState, Refusal]:
    """The state after this tick, and why the ask was refused (NONE if it was followed or nothing was asked)."""
    latchable = LATCHING & BY_REQUEST if state.mode is Mode.DISARMED else LATCHING
    latched = state.latched | flags.active & latchable
    refused = Refusal.NONE
    if flags.ask is Ask.ACK and state.mode not in _HARD:
        latched, refused = _acknowledge(latched, flags)
        flags = replace(flags, ask=Ask.NONE)
    in_effect = flags.active | latched
    if state.mode is Mode.TAKEOVER:
        in_effect &= NO_TAKEOVER  # a person is at the arm: what allows a takeover does not end it
    action, cause = worst(in_effect)
    mode, refusal = _NEXT[state.mode](now_ns, state, flags, latched, action)
    refusal = refused or refusal
    if mode is Mode.DISARMED and state.mode is not Mode.DISARMED:
        latched &= ~CLEARED_BY_RE_ARM
        if state.mode is Mode.RECOVERING:
            latched &= ~CLEARED_BY_OPERATOR
        action, cause = worst(flags.active | latched)
    if cause is Cause.NONE and mode in _REMEMBERS:
        cause = state.cause  # the condition has gone, but it is still why the arm is here
    changed = mode is not state.mode
    if not changed and (latched, cause, action) == (state.latched, state.cause, state.action):
        return state, refusal
    since_ns = now_ns if changed else state.since_ns
    return ModeState(mode, state.generation + changed, since_ns, latched, cause, action), refusal


def _acknowledge(latched: int, flags: Flags) -> tuple[int, Refusal]:
    """Clear what an operator may clear, unless its condition is still there."""
    if not flags.still:
        return latched, Refusal.NOT_STILL
    left = latched & (~CLEARED_BY_OPERATOR | flags.active)
    return left, Refusal.CAUSE if left & CLEARED_BY_OPERATOR else Refusal.NONE


def _disarmed(_now: int, _state: ModeState, flags: Flags, latched: int, action: Action) -> tuple[Mode, Refusal]:
    if worst(latched)[0] is Action.TRIP:
        return Mode.STOPPING, Refusal.NONE  # not FAULT: a stop is acknowledged only when the arm is seen to be still
    if flags.ask is not Ask.ARM:
        return Mode.DISARMED, _wrong_mode(flags)
    if action >= Action.HOLD:
        return Mode.DISARMED, Refusal.CAUSE
    if not flags.still:
        return Mode.DISARMED, Refusal.NOT_STILL
    return Mode.ARMED, Refusal.NONE


def _resting(_now: int, state: ModeState, flags: Flags, latched: int, action: Action) -> tuple[Mode, Refusal]:
    if action is Action.TRIP or (action is Action.STOP and not flags.braked):
        return Mode.STOPPING, Refusal.NONE
    if flags.left:
        return Mode.DISARMED, Refusal.NONE
    if flags.ask not in (Ask.RUN, Ask.TAKE_OVER, Ask.DISARM):
        return state.mode, _wrong_mode(flags)
    if not flags.braked:
        return state.mode, Refusal.NOT_STILL
    if flags.ask is Ask.DISARM:
        return Mode.DISARMED, Refusal.NONE
    if flags.ask is Ask.TAKE_OVER:
        action = worst((flags.active | latched) & NO_TAKEOVER)[0]
    if action >= Action.HOLD:
        return state.mode, Refusal.CAUSE
    if not flags.following:
        return state.mode, Refusal.NOT_FOLLOWING
    return _drive(flags), Refusal.NONE


def _driving(_now: int, state: ModeState, flags: Flags, _latched: int, action: Action) -> tuple[Mode, Refusal]:
    if action >= Action.STOP:
        return Mode.STOPPING, Refusal.NONE
    if action is Action.HOLD:
        return Mode.HOLD, Refusal.NONE
    if flags.ask is (Ask.RUN if state.mode is Mode.TAKEOVER else Ask.TAKE_OVER):
        return _drive(flags), Refusal.NONE
    if state.mode is Mode.APPROACH and flags.arrived:
        return Mode.RUNNING, _wrong_mode(flags)
    return state.mode, _wrong_mode(flags)


def _stopping(_now: int, _state: ModeState, flags: Flags, _latched: int, action: Action) -> tuple[Mode, Refusal]:
    refusal = Refusal.NOT_STILL if flags.ask is Ask.ACK else _wrong_mode(flags)
    if not flags.still:
        return Mode.STOPPING, refusal
    return (Mode.FAULT if action is Action.TRIP else Mode.HOLD), refusal


def _fault(_now: int, _state: ModeState, flags: Flags, latched: int, _action: Action) -> tuple[Mode, Refusal]:
    if flags.ask is not Ask.ACK:
        return Mode.FAULT, _wrong_mode(flags)
    if not flags.still:
        return Mode.FAULT, Refusal.NOT_STILL
    never = latched & ~(CLEARED_BY_OPERATOR | CLEARED_BY_RE_ARM)
    if worst(flags.active & ~RECOVERABLE | never)[0] >= Action.HOLD:
        return Mode.FAULT, Refusal.CAUSE
    return Mode.RECOVERING, Refusal.NONE


def _recovering(now_ns: int, state: ModeState, flags: Flags, _latched: int, _action: Action) -> tuple[Mode, Refusal]:
    refusal = _wrong_mode(flags)
    if worst(flags.active & ~RECOVERABLE)[0] >= Action.HOLD or now_ns - state.since_ns > RECOVERY_LIMIT_NS:
        return Mode.FAULT, refusal
    if not flags.active & RECOVERABLE and flags.still and flags.resynced:
        return Mode.DISARMED, refusal
    return Mode.RECOVERING, refusal


def _drive(flags: Flags) -> Mode:
    if flags.ask is Ask.TAKE_OVER:
        return Mode.TAKEOVER
    return Mode.APPROACH if flags.needs_approach else Mode.RUNNING


def _wrong_mode(flags: Flags) -> Refusal:
    return Refusal.NONE if flags.ask is Ask.NONE else Refusal.WRONG_MODE


_HARD = frozenset((Mode.STOPPING, Mode.FAULT, Mode.RECOVERING))  # an acknowledgement means something else there
_REMEMBERS = frozenset((Mode.HOLD, Mode.STOPPING, Mode.FAULT, Mode.RECOVERING))
_Next = Callable[[int, ModeState, Flags, int, Action], tuple[Mode, Refusal]]
_NEXT: dict[Mode, _Next] = {
    Mode.DISARMED: _disarmed,
    Mode.ARMED: _resting,
    Mode.APPROACH: _driving,
    Mode.RUNNING: _driving,
    Mode.TAKEOVER: _driving,
    Mode.HOLD: _resting,
    Mode.STOPPING: _stopping,
    Mode.FAULT: _fault,
    Mode.RECOVERING: _recovering,
}
