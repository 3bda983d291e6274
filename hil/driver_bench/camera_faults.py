"""Every fault of the emulated camera, with the driver's answer, and the promise that holds through all of them:

no frame number is served twice or backwards, capture stamps only grow, and what is doubtful is marked so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hil.driver_bench.arm_faults import WrongAnswerError, expect
from hil.realsense.script import camera_fault
from hil.remote import Camera
from hil.report import BenchRow
from hil.rig import Rig
from runtime.errors import SinewError
from runtime.rows import CameraPhase, FrameQuality
from runtime.ticker import sleep_ns

STALL_MS = 1000.0  # 3 frame periods and a slow renderer
ABSENT_MS = 5000.0  # the device list is looked at once a second
SETTLE_FRAMES = 10
PATIENCE_S = 90.0
_POLL_NS = 3_000_000


@dataclass
class Watch:
    """Follows one camera: every frame served, every state row, while it waits."""

    rig: Rig
    camera: Camera
    numbers: list[tuple[int, int, int]] = field(default_factory=list)  # session, number, capture time
    qualities: int = 0
    events: list[tuple[str, str]] = field(default_factory=list)

    def collect(self) -> None:
        """Take what came; raises WrongAnswerError for a frame that was served before, or is older than the last."""
        for row in self.camera.frames.drain():
            one = (int(row["session"]), int(row["color_number"]), int(row["capture_ns"]))
            if self.numbers:
                before = self.numbers[-1]
                expect(one[0] > before[0] or one[1] > before[1], f"frame {one[1]} was served after frame {before[1]}")
                expect(one[2] > before[2], f"frame {one[1]} has an older capture stamp than the one before")
            self.numbers.append(one)
            self.qualities |= int(row["quality"])
        self.events += self.camera.events()

    def wait(self, condition: Callable[[np.void], bool], what: str) -> np.void:
        """The first state row (a copy) that fulfils a condition."""
        end_ns = self.rig.now_ns() + int(PATIENCE_S * 1e9)
        while True:
            self.collect()
            row = self.camera.row()
            if row is not None and condition(row):
                return row.copy()
            if self.rig.now_ns() > end_ns:
                raise WrongAnswerError(f"not within {PATIENCE_S:g} s: {what}; it said: {self.events[-2:]}")
            self.rig.check_alive()
            sleep_ns(_POLL_NS)

    def wait_frames(self, count: int) -> None:
        """Until so many more frames were served."""
        goal = len(self.numbers) + count
        self.wait(lambda _: len(self.numbers) >= goal, f"{count} frames")

    def settle(self) -> None:
        """Streaming, with a few frames served, and nothing remembered."""
        self.wait(lambda row: int(row["phase"]) == CameraPhase.STREAMING, "phase STREAMING")
        self.wait_frames(SETTLE_FRAMES)
        self.numbers, self.qualities, self.events = self.numbers[-1:], 0, []


Answer = Callable[[Watch, np.void], tuple[float, str]]


def counted(counter: str, mark: FrameQuality = FrameQuality.GOOD) -> Answer:
    """The counter grows and a frame bears the mark; the stream goes on. Value: how far the counter grew."""

    def answer(watch: Watch, before: np.void) -> tuple[float, str]:
        watch.wait(lambda row: int(row[counter]) > int(before[counter]), f"counter '{counter}' grows")
        if mark:
            watch.wait(lambda _: bool(watch.qualities & mark), f"a frame marked {mark.name}")
        watch.wait_frames(SETTLE_FRAMES)
        row = watch.camera.wait(lambda _: True, "a state row")
        return float(row[counter]) - float(before[counter]), f"{counter}{f', marked {mark.name}' if mark else ''}"

    return answer


def marked(mark: FrameQuality) -> Answer:
    """A frame bears the mark; the stream goes on. Value: 1."""

    def answer(watch: Watch, before: np.void) -> tuple[float, str]:
        watch.wait(lambda _: bool(watch.qualities & mark), f"a frame marked {mark.name}")
        watch.wait_frames(SETTLE_FRAMES)
        return 1.0, f"marked {mark.name}"

    return answer


def goes_on(watch: Watch, before: np.void) -> tuple[float, str]:
    """Late frames are served in order with their own capture stamps, or not at all. Value: frames served."""
    watch.wait_frames(20)
    return 20.0, "served in order, by capture stamp"


def phase(wanted: tuple[CameraPhase, ...], then: str | None, event: str | None = None) -> Answer:
    """The driver says so in time, and streams again: by itself, or after another fault ends it. Value: our time [ms]."""

    def answer(watch: Watch, before: np.void) -> tuple[float, str]:
        struck_ns = watch.rig.now_ns()
        row = watch.wait(lambda row: int(row["phase"]) in wanted, f"phase {'/'.join(one.name for one in wanted)}")
        took_ms = (watch.rig.now_ns() - struck_ns) * 1e-6
        found = CameraPhase(int(row["phase"])).name
        if event is not None:
            watch.wait(lambda _: any(code == event for code, _ in watch.events), f"the event '{event}'")
        if then is not None:
            camera_fault(watch.camera.instance, watch.camera.name, then)
        back = watch.wait(lambda row: int(row["phase"]) == CameraPhase.STREAMING, "phase STREAMING again")
        watch.wait_frames(3)
        how = f"after {then}" if then else "by itself"
        named = f", event '{event}'" if event else ""
        sessions = int(back["session"]) - int(before["session"])
        return took_ms, f"{found}{named}; streams again {how}, {sessions} new session{'s' if sessions != 1 else ''}"

    return answer


STALLED = (CameraPhase.STALLED, CameraPhase.RESTART, CameraPhase.RESET)
AWAY = (CameraPhase.ABSENT, CameraPhase.LOST)

# Fault, its arguments, unit, limit, answer. Faults that end another one (replug) are used by the rows that need them.
TABLE: tuple[tuple[str, dict[str, float], str, float, Answer], ...] = (
    ("drop", {"frames": 3}, "frames", 3.0, counted("gaps", FrameQuality.GAP_BEFORE)),
    ("drop_depth", {"frames": 3}, "frames", 1.0, marked(FrameQuality.NO_DEPTH)),
    ("freeze", {"frames": 30}, "frames", 1.0, counted("frozen", FrameQuality.FROZEN)),
    ("late", {"frames": 3, "by_ms": 60.0}, "frames", 20.0, goes_on),
    ("out_of_order", {}, "frames", 1.0, counted("out_of_order")),
    ("duplicate", {"frames": 3}, "frames", 3.0, counted("duplicates")),
    (
        "clock_jump",
        {"frames": 10, "by_ms": 200.0},
        "frames",
        1.0,
        counted("stamp_fallbacks", FrameQuality.STAMP_FALLBACK),
    ),
    ("stall", {"frames": 45}, "ms", STALL_MS, phase(STALLED, None)),
    ("deaf", {}, "ms", STALL_MS, phase(STALLED, None)),
    ("unplug", {}, "ms", ABSENT_MS, phase(AWAY, "replug")),
    ("wrong_serial", {}, "ms", ABSENT_MS, phase(AWAY, "replug", "wrong_serial")),
    ("usb2", {}, "ms", ABSENT_MS, phase(AWAY, "replug", "usb2")),
    ("missing_profile", {}, "ms", ABSENT_MS, phase(AWAY, "replug", "missing_profile")),
)  # counts of frames: at least the limit; times: at most
QUICK = ("drop", "freeze", "stall")


def run(rig: Rig, *, quick: bool) -> list[BenchRow]:
    """A row per fault, on the first camera."""
    watch = Watch(rig, next(iter(rig.cameras.values())))
    rows = []
    for name, arguments, unit, limit, answer in TABLE:
        if quick and name not in QUICK:
            continue
        try:
            watch.settle()
            before = watch.camera.wait(lambda _: True, "a state row")
            camera_fault(rig.instance, watch.camera.name, name, **arguments)
            value, note = answer(watch, before)
        except SinewError as error:
            value, note = math.nan, str(error)
            watch.numbers.clear()
            camera_fault(rig.instance, watch.camera.name, "replug")
        rows.append(BenchRow(f"camera_{name}", value, unit, limit, "less" if unit == "ms" else "more", note=note))
    return rows
