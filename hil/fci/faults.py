"""What the emulated arm can be made to suffer: one table row per fault, applied at a chosen robot time.

Origins of the field faults (a mode that stays Reflex while the flags read clear, a Move reply that never comes, slow
recovery, gaps at the end of motions): public change logs and issue threads of users of the real arm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

import numpy as np

from hil.fci.errors import ErrorFlag
from runtime.errors import SinewError


class FaultError(SinewError):
    """No such fault, or an argument it does not take; the text lists the allowed ones."""


class Afflicted(Protocol):
    """What a fault can do to an arm's server; times are robot milliseconds from now."""

    def reflex(self, flag: ErrorFlag) -> None: ...
    def latch_reflex(self, flag: ErrorFlag, clear_after_ms: int) -> None: ...
    def press_user_stop(self) -> None: ...
    def release_user_stop(self) -> None: ...
    def set_brakes(self, locked: bool) -> None: ...
    def set_guiding(self, active: bool) -> None: ...
    def lose_states(self, fraction: float, duration_ms: int, seed: int) -> None: ...
    def delay_states(self, delay_ms: int, duration_ms: int) -> None: ...
    def silence(self, duration_ms: int) -> None: ...
    def drop_client(self) -> None: ...
    def push(self, link: int, force_n: np.ndarray, duration_ms: int) -> None: ...
    def withhold_move_replies(self, count: int) -> None: ...
    def delay_move_replies(self, delay_ms: int, count: int) -> None: ...
    def delay_recovery(self, delay_ms: int) -> None: ...
    def restore(self) -> None: ...


@dataclass(frozen=True)
class Argument:
    """A number that a fault takes: unit (may be empty), inclusive range, what it is when not given."""

    name: str
    unit: str
    lower: float
    upper: float
    default: float
    whole: bool = False


@dataclass(frozen=True)
class FaultKind:
    """One row: the sentence for people, the arguments, what it does."""

    says: str
    arguments: tuple[Argument, ...]
    apply: Callable[[Afflicted, SimpleNamespace], None]


_DURATION = Argument("duration_ms", "ms", 1, 600_000, 1500, whole=True)
_FLAG = Argument("flag", "", 0, 40, ErrorFlag.JOINT_REFLEX, whole=True)
_LONG_MS = 600_000


def _force(axis: str, default: float = 0.0) -> Argument:
    return Argument(f"force_{axis}_n", "N", -500, 500, default)


def _flag_fault(flag: ErrorFlag) -> FaultKind:
    return FaultKind(f"the robot stops with the error flag {flag.name.lower()}", (), lambda arm, _: arm.reflex(flag))


FAULTS: dict[str, FaultKind] = {
    **{flag.name.lower(): _flag_fault(flag) for flag in ErrorFlag},
    "latched_reflex": FaultKind(
        "the mode stays Reflex although the error flags read clear again after a while",
        (_FLAG, Argument("clear_after_ms", "ms", 0, 10_000, 200, whole=True)),
        lambda arm, a: arm.latch_reflex(ErrorFlag(a.flag), a.clear_after_ms),
    ),
    "user_stop": FaultKind("the user stop is pressed", (), lambda arm, _: arm.press_user_stop()),
    "user_stop_released": FaultKind("the user stop is released", (), lambda arm, _: arm.release_user_stop()),
    "brakes_locked": FaultKind("the brakes are locked in Desk", (), lambda arm, _: arm.set_brakes(True)),
    "brakes_unlocked": FaultKind("the brakes are unlocked in Desk", (), lambda arm, _: arm.set_brakes(False)),
    "guiding": FaultKind("somebody guides the arm by hand", (), lambda arm, _: arm.set_guiding(True)),
    "guiding_ended": FaultKind("the guiding button is let go", (), lambda arm, _: arm.set_guiding(False)),
    "lose_states": FaultKind(
        "a share of the state packets is lost on the way",
        (
            Argument("fraction", "", 0.0, 1.0, 0.02),
            _DURATION,
            Argument("seed", "", 0, 2**31 - 1, 0, whole=True),
        ),
        lambda arm, a: arm.lose_states(a.fraction, a.duration_ms, a.seed),
    ),
    "late_states": FaultKind(
        "state packets arrive late",
        (Argument("delay_ms", "ms", 1, 1000, 5, whole=True), _DURATION),
        lambda arm, a: arm.delay_states(a.delay_ms, a.duration_ms),
    ),
    "silence": FaultKind(
        "no state packet is sent; TCP stays open", (_DURATION,), lambda arm, a: arm.silence(a.duration_ms)
    ),
    "tcp_dropped": FaultKind("the connection is reset", (), lambda arm, _: arm.drop_client()),
    "push": FaultKind(
        "a force pushes a link",
        (
            Argument("link", "", 1, 8, 7, whole=True),
            _force("x", 60.0),
            _force("y"),
            _force("z"),
            Argument("duration_ms", "ms", 1, 60_000, 200, whole=True),
        ),
        lambda arm, a: arm.push(a.link, np.array((a.force_x_n, a.force_y_n, a.force_z_n)), a.duration_ms),
    ),
    "move_reply_withheld": FaultKind(
        "the final answer to Move never comes",
        (Argument("count", "", 1, 1000, 1, whole=True),),
        lambda arm, a: arm.withhold_move_replies(a.count),
    ),
    "end_of_motion_gap": FaultKind(
        "the final answer to Move comes late",
        (
            Argument("delay_ms", "ms", 1, 10_000, 1210, whole=True),  # longest seen on a real arm
            Argument("count", "", 1, 1000, 1, whole=True),
        ),
        lambda arm, a: arm.delay_move_replies(a.delay_ms, a.count),
    ),
    "slow_recovery": FaultKind(
        "automatic error recovery takes this long from now on",
        (Argument("delay_ms", "ms", 1, _LONG_MS, 7300, whole=True),),  # 0.7 to 7.3 s seen on a real arm
        lambda arm, a: arm.delay_recovery(a.delay_ms),
    ),
    "restore": FaultKind("every lasting fault of the arm ends", (), lambda arm, _: arm.restore()),
}


@dataclass(frozen=True)
class Fault:
    """A fault to apply: the row, its complete and checked arguments, and when (None: at once)."""

    name: str
    arguments: tuple[tuple[str, float], ...]
    at_ms: int | None = None

    def apply(self, arm: Afflicted) -> None:
        FAULTS[self.name].apply(arm, SimpleNamespace(**dict(self.arguments)))

    def __str__(self) -> str:
        values = " ".join(f"{name}={value:g}" for name, value in self.arguments)
        return f"{self.name} {values}".rstrip()


def make_fault(name: str, at_ms: int | None = None, **values: float) -> Fault:
    """A fault by name, with its arguments checked and completed.

    Args:
        name: a key of `FAULTS`.
        at_ms: robot time [ms] (the state packet's id) at which it strikes; None: at once.
        values: its arguments; those left out take their defaults.

    Raises:
        FaultError: unknown name or argument, or a value outside its range.
    """
    kind = FAULTS.get(name)
    if kind is None:
        raise FaultError(f"no fault '{name}': known are {', '.join(FAULTS)}")
    if at_ms is not None and at_ms < 0:
        raise FaultError(f"fault '{name}': robot time {at_ms} ms: must not be negative")
    return Fault(name, complete(name, kind.arguments, values), at_ms)


def complete(name: str, arguments: tuple[Argument, ...], values: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Every argument of the fault `name` with its value: as given, or its default.

    Raises:
        FaultError: an argument it does not take, or a value outside its range.
    """
    allowed = [argument.name for argument in arguments]
    for given in values:
        if given not in allowed:
            raise FaultError(f"fault '{name}' takes no '{given}': it takes {', '.join(allowed) or 'no arguments'}")
    result: list[tuple[str, float]] = []
    for argument in arguments:
        value = values.get(argument.name, argument.default)
        if not argument.lower <= value <= argument.upper:  # also refuses NaN
            limits = f"{argument.lower:g} to {argument.upper:g} {argument.unit}".rstrip()
            raise FaultError(f"fault '{name}': {argument.name} = {value:g}: allowed {limits}")
        if argument.whole and value != int(value):
            raise FaultError(f"fault '{name}': {argument.name} = {value:g}: must be a whole number")
        result.append((argument.name, int(value) if argument.whole else float(value)))
    return tuple(result)
