"""When a frame was taken, in this host's monotonic time, and whether the camera's clock can be believed.

librealsense's global time estimates the host's wall time of a frame from slow USB queries; it was seen to point into
the future (librealsense issue 13122), to glitch every 2^32 us and to run backwards (11320). So every stamp is checked
against what cannot lie: frames arrive after they were taken, and the frame number says how many periods passed. A stamp
that fails is replaced by receive time minus the median latency of the believed ones, and says so.
"""

import statistics
from collections import deque
from dataclasses import dataclass
from enum import Enum

MAX_LATENCY_NS = 150_000_000
MAX_JUMP_NS = 5_000_000
WINDOW = 64  # believed latencies behind median and minimum: 2 s at 30 Hz
REGULAR_OF = 16  # a stream is regular when at least REGULAR of its last REGULAR_OF intervals fit the frame numbers
REGULAR = 14
RELEARN_AFTER = 90  # frames in a row that disagree with the past but not with each other


class Domain(Enum):
    """What clock a stamp is of: librealsense's timestamp domains."""

    HARDWARE_CLOCK = 0
    SYSTEM_TIME = 1
    GLOBAL_TIME = 2


class Doubt(Enum):
    """Why a stamp is not believed; the value is the sentence's end for people."""

    DOMAIN = "the camera gives no global time: install the kernel patches or udev rules for metadata"
    FUTURE = "it lies in the future"
    BACKWARDS = "it is not later than the one before"
    JUMP = "it jumped against frame numbers and arrival"
    LATE = f"it is older than {MAX_LATENCY_NS // 1_000_000} ms and there is none before to compare with"

    @property
    def is_jump(self) -> bool:
        """The clock moved against itself, rather than being of the wrong kind."""
        return self is not Doubt.DOMAIN


@dataclass(frozen=True)
class Stamp:
    """`capture_ns` monotonic, strictly rising within a session; `doubt` is None for a believed stamp."""

    capture_ns: int
    doubt: Doubt | None
    relearned: bool = False


class StampClock:
    """Maps the stamps of one session.

    Args:
        period_ns: nominal frame period.
        latency_ns: calibrated time from mid-exposure to the camera's stamp, subtracted from every believed stamp.
    """

    def __init__(self, period_ns: int, latency_ns: int = 0) -> None:
        self._period_ns, self._latency_ns = period_ns, latency_ns
        self._latencies: deque[int] = deque(maxlen=WINDOW)
        self._believed: tuple[int, int, int] | None = None  # number, stamp, receive of the last believed frame
        self._raw: tuple[int, int] | None = None  # number, stamp of the last frame, believed or not
        self._fits: deque[bool] = deque(maxlen=REGULAR_OF)
        self._consistent = 0
        self._last_capture_ns = -1

    @property
    def median_latency_ns(self) -> int:
        """Of the believed stamps [ns]; 0 while there is none."""
        return int(statistics.median_low(self._latencies)) if self._latencies else 0

    def stamp(self, number: int, domain: Domain, stamp_wall_ns: int, receive_ns: int, wall_offset_ns: int) -> Stamp:
        """Capture time of frame `number`.

        `stamp_wall_ns` is the camera's stamp in wall time, `wall_offset_ns` wall minus monotonic time at receipt.
        """
        stamp_ns = stamp_wall_ns - wall_offset_ns
        if self._raw is not None:
            self._fits.append(self._continues(self._raw, number, stamp_ns))
        doubt = self._doubt(number, domain, stamp_ns, receive_ns)
        relearned = False
        if doubt in (Doubt.JUMP, Doubt.LATE, Doubt.BACKWARDS) and self._agrees_with_itself(stamp_ns, receive_ns):
            doubt, relearned = None, True
            self._latencies.clear()
        self._raw = (number, stamp_ns)
        if doubt is None:
            self._consistent = 0
            self._latencies.append(receive_ns - stamp_ns)
            self._believed = (number, stamp_ns, receive_ns)
            capture_ns = stamp_ns - self._latency_ns
        else:
            capture_ns = receive_ns - self.median_latency_ns - self._latency_ns
        # A fallback stamp may lie after the next believed one; readers rely on rising time.
        capture_ns = max(capture_ns, self._last_capture_ns + 1)
        self._last_capture_ns = capture_ns
        return Stamp(capture_ns, doubt, relearned)

    def _doubt(self, number: int, domain: Domain, stamp_ns: int, receive_ns: int) -> Doubt | None:
        if domain is not Domain.GLOBAL_TIME:
            return Doubt.DOMAIN
        latency_ns = receive_ns - stamp_ns
        if latency_ns <= 0:
            return Doubt.FUTURE
        if self._believed is None:
            return Doubt.LATE if latency_ns > MAX_LATENCY_NS else None
        last_number, last_stamp_ns, last_receive_ns = self._believed
        if stamp_ns <= last_stamp_ns:
            return Doubt.BACKWARDS
        if self._continues((last_number, last_stamp_ns), number, stamp_ns):
            return None  # if it arrived late it really is old: never made younger than it says
        # Off the grid, but so was the arrival, or no grid at all: the camera skipped or was slow, the host was busy. Off
        # the grid of a regular stream although it arrived in step: the clock moved.
        expected_ns = (number - last_number) * self._period_ns
        arrived_in_step = abs(receive_ns - last_receive_ns - expected_ns) <= MAX_JUMP_NS
        return Doubt.JUMP if arrived_in_step and sum(self._fits) >= REGULAR else None

    def _continues(self, before: tuple[int, int], number: int, stamp_ns: int) -> bool:
        """The stamp is where the frame number says, counted from (number, stamp) `before`."""
        return abs(stamp_ns - before[1] - (number - before[0]) * self._period_ns) <= MAX_JUMP_NS

    def _agrees_with_itself(self, stamp_ns: int, receive_ns: int) -> bool:
        """A clock that jumped once and then runs true is believed again after RELEARN_AFTER frames."""
        in_range = 0 < receive_ns - stamp_ns <= MAX_LATENCY_NS
        self._consistent = self._consistent + 1 if in_range and self._fits and self._fits[-1] else 0
        return self._consistent >= RELEARN_AFTER
