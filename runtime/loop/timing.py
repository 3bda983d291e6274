"""The loop's own verdict on its timing: on time, slow, hold, gap; with hysteresis. Pure: it is told the time.

Late ticks degrade, they do not stop: one late tick in 770 000 ended sessions elsewhere. A trajectory advances by one
nominal period per tick whatever the lateness; slots that passed are skipped and counted, never made up in a burst.
"""

from enum import IntEnum

WINDOW = 32  # ticks looked back
SLOW_IN_A_ROW = 3
SLOW_IN_WINDOW = 8
HOLD_IN_WINDOW = 16
CLEAN_TO_CLEAR = 64  # ticks on time before a level is left
_WINDOW_MASK = (1 << WINDOW) - 1
_ROW_MASK = (1 << SLOW_IN_A_ROW) - 1


class Timing(IntEnum):
    """How the loop keeps its grid."""

    ON_TIME = 0
    SLOW = 1
    HOLD = 2
    GAP = 3  # this tick came more than the set gap after the one before


class TimingWatch:
    """Watches one loop on an absolute grid.

    Args:
        period_ns: nominal period [ns].
        start_ns: time of slot 0; ticks are due at `start_ns + k * period_ns`.
        stop_gap_ns: a longer time between two ticks is a GAP.

    A tick counts as late when it comes more than half a period after its slot, or when slots were skipped before it.
    """

    def __init__(self, period_ns: int, start_ns: int, stop_gap_ns: int) -> None:
        self.period_ns, self.start_ns, self.stop_gap_ns = period_ns, start_ns, stop_gap_ns
        self.slot = -1
        self.last_ns = 0
        self.due_ns = 0
        self.late_ns = 0
        self.late_max_ns = 0
        self.gap_max_ns = 0
        self.late_ticks = 0
        self.skipped = 0
        self.level = Timing.ON_TIME
        self.history = 0  # a bit per tick, newest lowest; 1 is late
        self.clean = 0

    def tick(self, now_ns: int) -> Timing:
        """Take note of a tick at `now_ns`; returns GAP for this tick only, else the level."""
        slot = (now_ns - self.start_ns) // self.period_ns
        first = self.slot < 0
        gap_ns = 0 if first else now_ns - self.last_ns
        passed = 0 if first else max(0, slot - self.slot - 1)
        self.slot, self.last_ns = slot, now_ns
        self.due_ns = self.start_ns + slot * self.period_ns
        self.late_ns = now_ns - self.due_ns
        self.late_max_ns = max(self.late_max_ns, self.late_ns + passed * self.period_ns)
        self.gap_max_ns = max(self.gap_max_ns, gap_ns)
        self.skipped += passed
        late = passed > 0 or self.late_ns * 2 > self.period_ns
        self.late_ticks += late
        self._grade(late)
        return Timing.GAP if gap_ns > self.stop_gap_ns else self.level

    def _grade(self, late: bool) -> None:
        history = self.history = (self.history << 1 | late) & _WINDOW_MASK
        self.clean = 0 if late else self.clean + 1
        in_window = history.bit_count()
        if in_window >= HOLD_IN_WINDOW:
            self.level = Timing.HOLD
        elif in_window >= SLOW_IN_WINDOW or history & _ROW_MASK == _ROW_MASK:
            self.level = max(self.level, Timing.SLOW)
        elif self.clean >= CLEAN_TO_CLEAR:
            self.level = Timing.ON_TIME
