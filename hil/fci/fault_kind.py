"""How a fault is declared: its name, what it does in a sentence, and the arguments it takes with their limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import SinewError


class FaultError(SinewError):
    """A fault that does not exist, or arguments it does not take; the text lists what is allowed."""


@dataclass(frozen=True)
class Argument:
    """A number that a fault takes. `unit` is for people; limits are inclusive."""

    name: str
    default: float
    low: float
    high: float
    unit: str

    def check(self, value: object) -> float:
        """The value as a float within the limits, or FaultError."""
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not self.low <= number <= self.high:
            raise FaultError(
                f"argument '{self.name}' is {value!r}: allowed are {self.low:g} to {self.high:g} {self.unit}"
            )
        return float(number)


@dataclass(frozen=True)
class FaultKind:
    """One row of a fault table."""

    name: str
    sentence: str
    arguments: tuple[Argument, ...] = ()

    def check(self, given: Mapping[str, object]) -> dict[str, float]:
        """Every argument with its value, defaults filled in.

        Raises:
            FaultError: an argument this fault does not take, or a value outside its limits.
        """
        known = {argument.name for argument in self.arguments}
        for name in given:
            if name not in known:
                raise FaultError(
                    f"fault '{self.name}' takes no argument '{name}': allowed are {sorted(known) or 'none'}"
                )
        return {one.name: one.check(given.get(one.name, one.default)) for one in self.arguments}
