"""What was sent to an arm, tick by tick: the only thing that the checker looks at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from runtime.rows import JOINTS

# As in recordings (runtime/gate/verdict.py); written again because the checker imports nothing of the gate.
PASS, SHAPE, STOP, TRIP = 0, 1, 2, 3
START = -1  # no command: where the arm stood at a reset

ROW = np.dtype(
    [
        ("epoch", "i8"),  # counts resets: no motion leads from one epoch to the next
        ("tick", "i8"),  # of the episode
        ("now_ns", "i8"),
        ("q", "f8", JOINTS),
        ("dq", "f8", JOINTS),
        ("ddq", "f8", JOINTS),
        ("verdict", "i1"),
        ("reason", "i2"),
        ("stopping", "?"),
        ("at_rest", "?"),
        ("speed", "f8"),  # the speed factor in force
        ("must", "i1"),  # the mildest verdict that the input allows, by what was planted in it
        ("absent", "?"),  # there was no candidate
        ("predicted", "f8", JOINTS),  # how far [rad] each joint would still move, were it stopped now; NaN: not said
        ("predicted_s", "f8"),  # and how long it would take [s]
    ]
)


@dataclass
class History:
    """Rows of one episode at one period. `families` names the source of each row, for counts."""

    period_s: float
    rows: np.ndarray
    families: Sequence[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)
