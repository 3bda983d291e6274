"""Frame numbers: what is new, what is missing, what was there before. A frame is served once or never.

librealsense's syncer hands out framesets whose colour is the one handed out before (the depth came early); those are
not duplicates of the device and not new frames either.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a frameset is, judged by its numbers."""

    NEW = auto()
    REPEATED = auto()  # colour seen before: the syncer's doing, or one more copy of a duplicate already reported
    DUPLICATE = auto()  # nothing in it is new; once per frame number
    OUT_OF_ORDER = auto()  # colour older than one served before


@dataclass(frozen=True)
class Verdict:
    """`missing` frames lie between this one and the one before; `depth_new`: its depth was never served."""

    kind: Kind
    missing: int = 0
    depth_new: bool = False


class FrameNumbers:
    """Judges the numbers of one session; a restart begins a new one."""

    def __init__(self) -> None:
        self._color: int | None = None
        self._seen_depth: int | None = None
        self._served_depth = -1
        self._reported = -1

    def judge(self, color: int, depth: int | None) -> Verdict:
        """`color` and `depth` are the device's own counters; `depth` is None where there is no such image."""
        depth_moved = depth != self._seen_depth
        self._seen_depth = depth
        if self._color is not None and color == self._color:
            if depth_moved or self._reported == color:
                return Verdict(Kind.REPEATED)
            self._reported = color
            return Verdict(Kind.DUPLICATE)
        if self._color is not None and color < self._color:
            return Verdict(Kind.OUT_OF_ORDER)
        missing = 0 if self._color is None else color - self._color - 1
        self._color = color
        depth_new = depth is not None and depth > self._served_depth
        if depth is not None and depth_new:
            self._served_depth = depth
        return Verdict(Kind.NEW, missing, depth_new)
