"""What a check found: None where nothing is wrong."""

from typing import NamedTuple

from runtime.gate.reasons import Reason


class Finding(NamedTuple):
    """A reason with the value found, the limit it was held against, and where (a joint's number, an index, or 0)."""

    reason: Reason
    value: float
    limit: float
    where: int = 0
