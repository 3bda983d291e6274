"""When auto-exposure and auto-white-balance have settled: the last frames agree, or patience is over."""

from collections import deque
from dataclasses import astuple, dataclass
from enum import Enum, auto

FRAMES = 8
SPREAD = 0.05  # of the largest value; exposure moves in steps, so never exactly still
PATIENCE_NS = 5_000_000_000  # beyond the cell file's warm-up time


@dataclass(frozen=True)
class Settings:
    """What a colour frame is taken with."""

    exposure_us: float
    gain: float
    white_balance_k: float


class Settled(Enum):
    """The answer after each frame of the warm-up."""

    NOT_YET = auto()
    YES = auto()
    GAVE_UP = auto()  # still moving when patience ended: locked anyway, and said


class Settle:
    """Watches the settings of the frames of one warm-up that began at `start_ns`."""

    def __init__(self, start_ns: int, warmup_ns: int) -> None:
        self._start_ns, self._warmup_ns = start_ns, warmup_ns
        self._recent: deque[Settings] = deque(maxlen=FRAMES)

    def add(self, now_ns: int, settings: Settings) -> Settled:
        """Take one frame's settings."""
        self._recent.append(settings)
        elapsed = now_ns - self._start_ns
        if elapsed < self._warmup_ns or len(self._recent) < FRAMES:
            return Settled.NOT_YET
        for values in zip(*(astuple(one) for one in self._recent), strict=True):
            if max(values) - min(values) > SPREAD * max(abs(value) for value in values):
                return Settled.GAVE_UP if elapsed >= self._warmup_ns + PATIENCE_NS else Settled.NOT_YET
        return Settled.YES
