"""The state machine of a camera driver: a table, counters and time as an argument; no camera, no clock.

ABSENT -> STARTING -> WARMUP -> STREAMING is the way up. A stream that falls silent is STALLED; if it does not come back
it is RESTARTed (stop, start), after a few of those RESET (the device's own reset, last), and then LOST. A device that
is unplugged is LOST at once and starts anew when it is back. Every wait has a limit and every repetition a count.
"""

from dataclasses import dataclass
from enum import Enum, auto

from runtime.rows import CameraPhase

SECOND_NS = 1_000_000_000


class Symptom(Enum):
    """What the driver found out since the last step, or what a time limit says."""

    FIT = auto()  # looked: the device is there and can do what the cell file asks
    GONE = auto()  # looked: it is not there, or not fit
    FAILED = auto()  # opening, locking, reading or resetting raised
    FRAME = auto()  # a frame that was never seen before
    SETTLED = auto()  # exposure settled, options locked and read back
    SILENT = auto()  # no new frame for longer than the stream's own limit
    OVERDUE = auto()  # the phase's patience is over


class Order(Enum):
    """What the driver is to do now; at most one thing per step."""

    NOTHING = auto()
    LOOK = auto()
    OPEN = auto()
    CLOSE = auto()
    RESET = auto()


class Stream(Enum):
    """What the driver says of its pipeline."""

    CLOSED = auto()
    OPEN = auto()
    CLOSING = auto()  # the stop runs in a thread of its own: librealsense may take its time


class Target(Enum):
    """Where a transition leads that depends on the past."""

    RESUME = auto()  # STREAMING if the options are locked, else WARMUP
    ESCALATE = auto()  # RESTART, when those are used up RESET, when those are used up LOST


_P, _S, _T = CameraPhase, Symptom, Target
TRANSITIONS: dict[tuple[CameraPhase, Symptom], CameraPhase | Target] = {
    (_P.ABSENT, _S.FIT): _P.STARTING,
    (_P.STARTING, _S.FRAME): _P.WARMUP,
    (_P.STARTING, _S.FAILED): _T.ESCALATE,
    (_P.STARTING, _S.OVERDUE): _T.ESCALATE,
    (_P.WARMUP, _S.SETTLED): _P.STREAMING,
    (_P.WARMUP, _S.SILENT): _P.STALLED,
    (_P.WARMUP, _S.FAILED): _T.ESCALATE,
    (_P.STREAMING, _S.SILENT): _P.STALLED,
    (_P.STREAMING, _S.FAILED): _T.ESCALATE,
    (_P.STALLED, _S.FRAME): _T.RESUME,
    (_P.STALLED, _S.GONE): _P.LOST,
    (_P.STALLED, _S.FAILED): _T.ESCALATE,
    (_P.STALLED, _S.OVERDUE): _T.ESCALATE,
    (_P.RESTART, _S.FIT): _P.STARTING,
    (_P.RESTART, _S.GONE): _P.LOST,
    (_P.RESTART, _S.FAILED): _P.LOST,  # it cannot even be looked for
    (_P.RESTART, _S.OVERDUE): _P.LOST,  # the pipeline does not stop
    (_P.RESET, _S.FIT): _P.STARTING,
    (_P.RESET, _S.FAILED): _P.LOST,  # the device refuses to be reset
    (_P.RESET, _S.OVERDUE): _P.LOST,  # it did not come back
    (_P.LOST, _S.FIT): _P.STARTING,
}


@dataclass(frozen=True)
class Patience:
    """The limits of every wait [ns] and repetition. `stall_ns` comes from the cell file (stall_periods)."""

    stall_ns: int
    look_every_ns: int = SECOND_NS
    first_frame_ns: int = 5 * SECOND_NS  # the vendor's own tests ask for 1 s
    warmup_silent_ns: int = SECOND_NS  # auto-exposure may lower the rate while it settles
    stalled_ns: int = SECOND_NS
    close_ns: int = 5 * SECOND_NS
    restart_pause_ns: int = SECOND_NS // 4  # doubles with every restart in a row
    max_restarts: int = 3  # in a row, before a reset
    reset_pause_ns: int = 2 * SECOND_NS  # a device that resets is still listed for a moment
    reset_ns: int = 15 * SECOND_NS  # vendor's tests: removal <= 10 s, then enumeration
    max_resets: int = 1  # in a row, before giving up
    give_up_ns: int = 10 * SECOND_NS  # pause before trying a present but dead device again; doubles
    give_up_limit_ns: int = 60 * SECOND_NS
    healthy_ns: int = 10 * SECOND_NS  # streaming this long forgives earlier restarts


@dataclass(frozen=True)
class Change:
    """One transition: an event for people and for the safety layer."""

    before: CameraPhase
    after: CameraPhase
    symptom: Symptom


class CameraMachine:
    """Decides phase and next order from symptoms and time.

    Call `step` every turn with what was found since the last one. Deterministic: same calls, same answers.
    """

    def __init__(self, patience: Patience, now_ns: int) -> None:
        self.patience = patience
        self.phase = CameraPhase.ABSENT
        self.stalls = self.restarts = self.resets = 0
        self.locked = False
        self._since_ns = now_ns
        self._look_ns = now_ns
        self._last_frame_ns = now_ns
        self._restarts_in_row = self._resets_in_row = self._give_ups = 0
        self._retry_ns = now_ns  # LOST: a present device is not tried before this
        self._ordered = False  # OPEN or RESET was given in this phase

    def step(self, now_ns: int, symptoms: list[Symptom], stream: Stream) -> tuple[Order, list[Change]]:
        """Take in what was found, then what time says. Returns what to do now and the transitions made."""
        changes: list[Change] = []
        for symptom in symptoms:
            self._take(now_ns, symptom, changes)
        timed = self._timed(now_ns, stream)
        if timed is not None:
            self._take(now_ns, timed, changes)
        if self.phase is CameraPhase.STREAMING and now_ns - self._since_ns >= self.patience.healthy_ns:
            self._forgive()
        return self._order(now_ns, stream), changes

    def _forgive(self) -> None:
        self._restarts_in_row = self._resets_in_row = self._give_ups = 0

    def _take(self, now_ns: int, symptom: Symptom, changes: list[Change]) -> None:
        if symptom is Symptom.FRAME:
            self._last_frame_ns = now_ns
        if self.phase is CameraPhase.LOST:
            if symptom is Symptom.GONE:  # unplugged: when it is back it is a fresh device
                self._forgive()
                self._retry_ns = now_ns
            elif symptom is Symptom.FIT and now_ns < self._retry_ns:
                return
        target = TRANSITIONS.get((self.phase, symptom))
        if target is None:
            return
        after = self._resolve(target)
        changes.append(Change(self.phase, after, symptom))
        self._enter(now_ns, after, symptom)

    def _resolve(self, target: CameraPhase | Target) -> CameraPhase:
        if target is Target.RESUME:
            return CameraPhase.STREAMING if self.locked else CameraPhase.WARMUP
        if target is Target.ESCALATE:
            if self._restarts_in_row < self.patience.max_restarts:
                return CameraPhase.RESTART
            return CameraPhase.RESET if self._resets_in_row < self.patience.max_resets else CameraPhase.LOST
        assert isinstance(target, CameraPhase)
        return target

    def _enter(self, now_ns: int, after: CameraPhase, symptom: Symptom) -> None:
        patience = self.patience
        self.phase, self._since_ns, self._ordered = after, now_ns, False
        self._look_ns = now_ns
        if after is CameraPhase.STARTING:
            self.locked = False
        elif after is CameraPhase.STREAMING:
            self.locked = True
        elif after is CameraPhase.STALLED:
            self.stalls += 1
        elif after is CameraPhase.RESTART:
            self._look_ns = now_ns + (patience.restart_pause_ns << self._restarts_in_row)
            self.restarts += 1
            self._restarts_in_row += 1
        elif after is CameraPhase.RESET:
            self._look_ns = now_ns + patience.reset_pause_ns
            self.resets += 1
            self._resets_in_row += 1
            self._restarts_in_row = 0
        elif after is CameraPhase.LOST:
            self._restarts_in_row = self._resets_in_row = 0
            self._retry_ns = now_ns
            if symptom is not Symptom.GONE:
                pause = min(patience.give_up_ns << min(self._give_ups, 8), patience.give_up_limit_ns)
                self._retry_ns = now_ns + pause
                self._give_ups += 1

    def _timed(self, now_ns: int, stream: Stream) -> Symptom | None:
        in_phase, patience = now_ns - self._since_ns, self.patience
        silent = now_ns - self._last_frame_ns
        if self.phase is CameraPhase.STREAMING and silent > patience.stall_ns:
            return Symptom.SILENT
        if self.phase is CameraPhase.WARMUP and silent > max(patience.warmup_silent_ns, patience.stall_ns):
            return Symptom.SILENT
        limit = {
            CameraPhase.STARTING: patience.first_frame_ns,
            CameraPhase.STALLED: patience.stalled_ns,
            CameraPhase.RESET: patience.reset_ns,
        }.get(self.phase)
        if self.phase is CameraPhase.RESTART and stream is not Stream.CLOSED:
            limit = patience.close_ns
        return Symptom.OVERDUE if limit is not None and in_phase > limit else None

    def _order(self, now_ns: int, stream: Stream) -> Order:
        phase = self.phase
        down = phase in (CameraPhase.ABSENT, CameraPhase.LOST, CameraPhase.RESTART, CameraPhase.RESET)
        if down and stream is Stream.OPEN:
            return Order.CLOSE
        if stream is Stream.CLOSING:
            return Order.NOTHING
        if phase is CameraPhase.STARTING and not self._ordered:
            self._ordered = True
            return Order.OPEN
        if phase is CameraPhase.RESET and not self._ordered:
            self._ordered = True
            self._look_ns = now_ns + self.patience.reset_pause_ns
            return Order.RESET
        if (down or phase is CameraPhase.STALLED) and now_ns >= self._look_ns:
            self._look_ns = now_ns + self.patience.look_every_ns
            return Order.LOOK
        return Order.NOTHING
