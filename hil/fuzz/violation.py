"""What the checker found: one violation per kind and place, few of each, all counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hil.fuzz.history import History

# Kinds that speak of stops and of verdicts; every other kind is a row outside a limit.
STOP_KINDS = ("rest_moves", "stop_not_ended", "stop_left", "stop_speeds_up", "stop_slow")
PREDICTION_KINDS = ("stop_longer", "stop_later")
VERDICT_KINDS = ("unheeded",)
KEPT = 3  # of each kind; the rest is counted


@dataclass(frozen=True)
class Violation:
    """One row that is outside a limit.

    `row` counts the rows of the history, `tick` is the episode's; `where` is a joint (`joint 3`), a pair, or empty.
    """

    kind: str
    row: int
    tick: int
    value: float
    limit: float
    where: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.kind}{place} at tick {self.tick}: {self.value:.9g}, limit {self.limit:.9g}"


@dataclass
class Report:
    """Collects violations of one history. `counts` has all of them, `found` the first few of each kind."""

    history: History
    found: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    rows_out: set[int] = field(default_factory=set)  # outside a limit

    def add(
        self,
        kind: str,
        bad: np.ndarray,
        value: np.ndarray,
        limit: np.ndarray | float,
        where: Callable[[int], str] | None = None,
    ) -> None:
        """Rows (n,) that are `bad`, with their values (n,) and limits (n,) or one for all."""
        limits = np.broadcast_to(limit, bad.shape)
        for k in np.flatnonzero(bad):
            self.one(kind, int(k), float(value[k]), float(limits[k]), where(int(k)) if where else "")

    def joints(self, kind: str, bad: np.ndarray, value: np.ndarray, limit: np.ndarray) -> None:
        """Rows and joints (n, 7) that are `bad`; `limit` is (7,) or (n, 7)."""
        limits = np.broadcast_to(limit, bad.shape)
        for k, j in np.argwhere(bad):
            self.one(kind, int(k), float(value[k, j]), float(limits[k, j]), f"joint {j + 1}")

    def one(self, kind: str, row: int, value: float, limit: float, where: str = "") -> None:
        self.counts[kind] += 1
        if kind not in (*STOP_KINDS, *PREDICTION_KINDS, *VERDICT_KINDS):
            self.rows_out.add(row)
        if self.counts[kind] <= KEPT:
            self.found.append(Violation(kind, row, int(self.history.rows["tick"][row]), value, limit, where))
