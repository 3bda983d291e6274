"""What the gate says of a command."""

from enum import IntEnum


class Verdict(IntEnum):
    """Ordered: the larger, the worse."""

    PASS = 0  # the candidate is sent as it is
    SHAPE = 1  # sent, but changed to stay inside the limits
    STOP = 2  # the stored stop runs
    TRIP = 3  # the stored stop runs, and the fault latches
