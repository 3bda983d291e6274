"""The fault panel: raises faults of arms and of the hands they carry, by name, now or at a robot time."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

from hil.fci.faults import FAULTS, Argument, Fault, FaultError, complete, make_fault
from hil.fci.hand_faults import HAND_FAULTS
from hil.fci.hand_server import HandServer

_NS_PER_S = 1_000_000_000


class FaultyArm(Protocol):
    """What the panel needs of an arm: `hil.fci.arm_server.ArmServer` has it."""

    def schedule(self, fault: Fault) -> None: ...


@dataclass(frozen=True)
class Pending:
    """A fault that is still to come: on which arm, when [ns robot time], which with what arguments."""

    arm: str
    at_ns: int
    name: str
    arguments: tuple[tuple[str, float], ...]

    @property
    def what(self) -> str:
        """Name and arguments."""
        return self.name + "".join(f" {name}={value:g}" for name, value in self.arguments)

    def __str__(self) -> str:
        return f"{self.what} on '{self.arm}' at {self.at_ns / _NS_PER_S:.3f} s"


def _describe(arguments: tuple[Argument, ...]) -> str:
    return ", ".join(
        f"{one.name} {one.lower:g} to {one.upper:g}{' ' + one.unit if one.unit else ''} (default {one.default:g})"
        for one in arguments
    )


def fault_table() -> list[tuple[str, str, str]]:
    """Every fault there is: name, sentence, its arguments with limits and defaults."""
    rows = [(name, kind.says, _describe(kind.arguments)) for name, kind in FAULTS.items()]
    return rows + [(name, kind.says, _describe(kind.arguments)) for name, kind in HAND_FAULTS.items()]


class FaultPanel:
    """Faults of one running cell.

    Args:
        arms: the arms' servers by name.
        hands: the hands' servers by the name of the arm that carries them.
        report: takes a sentence for each fault that strikes a hand; arms report their own.
    """

    def __init__(
        self, arms: Mapping[str, FaultyArm], hands: Mapping[str, HandServer], report: Callable[[str], None]
    ) -> None:
        self._arms, self._hands, self._report = arms, hands, report
        self._pending: list[Pending] = []
        self._now_ns = 0

    @property
    def pending(self) -> tuple[Pending, ...]:
        """What is still to come, soonest first."""
        return tuple(self._pending)

    def raise_fault(
        self, arm: str | None, name: str, at_robot_time_s: float | None = None, **arguments: float
    ) -> Pending:
        """Let a fault strike, now or at a robot time [s]; a time that has passed is now.

        Args:
            arm: which one, or whose hand; None where the cell has only one.
            name: a row of `fault_table()`.
            at_robot_time_s: robot time [s]; None: now.
            arguments: of this fault; those left out take their defaults.

        Raises:
            FaultError: no such arm, hand, fault or argument, or a value outside its limits; the text lists what is
                allowed.
        """
        arm = self._arm(arm)
        if name in HAND_FAULTS:
            if arm not in self._hands:
                raise FaultError(
                    f"fault '{name}': arm '{arm}' carries no hand: those that do are {sorted(self._hands)}"
                )
            checked = complete(name, HAND_FAULTS[name].arguments, arguments)
        elif name in FAULTS:
            checked = make_fault(name, None, **arguments).arguments
        else:
            known = (*FAULTS, *HAND_FAULTS)
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise FaultError(f"no fault '{name}': {hint}Known are {', '.join(known)}")
        at_ns = self._now_ns if at_robot_time_s is None else round(at_robot_time_s * _NS_PER_S)
        fault = Pending(arm, at_ns, name, checked)
        if at_ns <= self._now_ns:
            self._strike(fault)
        else:
            self._pending.append(fault)
            self._pending.sort(key=lambda one: one.at_ns)
        return fault

    def clear(self, arm: str | None = None) -> None:
        """Forget what is to come and end every lasting fault, of one arm and its hand or of all. Modes stay as they are."""
        names = list(self._arms) if arm is None else [self._arm(arm)]
        self._pending = [one for one in self._pending if one.arm not in names]
        for name in names:
            self._arms[name].schedule(make_fault("restore"))
            if name in self._hands:
                self._hands[name].restore()

    def step(self, robot_time_ns: int) -> None:
        """Let strike what is due. Once per millisecond, after the servers' turn."""
        self._now_ns = robot_time_ns
        while self._pending and self._pending[0].at_ns <= robot_time_ns:
            self._strike(self._pending.pop(0))

    def _arm(self, name: str | None) -> str:
        if name is None and len(self._arms) == 1:
            return next(iter(self._arms))
        if name is None or name not in self._arms:
            said = "say which arm" if name is None else f"no arm '{name}'"
            raise FaultError(f"{said}: this cell has {sorted(self._arms)}")
        return name

    def _strike(self, fault: Pending) -> None:
        if fault.name in HAND_FAULTS:
            arguments = SimpleNamespace(**dict(fault.arguments))
            self._report(f"hand of arm '{fault.arm}' at {self._now_ns / _NS_PER_S:.3f} s: fault {fault.what}")
            HAND_FAULTS[fault.name].apply(self._hands[fault.arm], arguments, self._now_ns)
        else:
            self._arms[fault.arm].schedule(Fault(fault.name, fault.arguments))
