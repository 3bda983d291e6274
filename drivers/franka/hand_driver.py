"""The Franka Hand as a state machine: `step(now_ns)` turns at a steady rate whatever the library is waiting for.

Reading the width takes up to 0.1 s on the real hand (franky issue 35), move and grasp last as long as the motion, a lost
answer to a command lasts for ever, and so does connecting to a server that accepts and says nothing (measured with franky
2.0.0, which lets go of the interpreter lock meanwhile). So every such call runs on a `Caller` with a due time; an overdue one
has its connection cut, which ends it. A read that fails is how a dead link is found: move() itself does not notice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import franky
import numpy as np

from drivers.franka.bounded import Call, Caller, cut_connections
from drivers.franka.hand_command import MOTIONS, HandCommand, hand_command
from drivers.franka.robot_lock import resolve
from runtime.clock import Clock
from runtime.errors import SinewError
from runtime.rows import DriverState, RequestKind, RequestStatus, Severity

HAND_PORT = 1338
SUPPORTED_SERVER = 3  # of the pinned wheel
CONNECT_NS = 3_000_000_000
READ_NS = 3_000_000_000  # libfranka's own limit for a state is 1 s; a dead socket costs another
STOP_NS = 3_000_000_000
FIRST_RETRY_NS, LAST_RETRY_NS = 500_000_000, 10_000_000_000
STALE_NS = 500_000_000  # on top of two reading periods: an older width is not shown

Announce = Callable[[Severity, str, str], None]


@dataclass
class _Motion:
    """A motion in flight."""

    request_id: int
    command: HandCommand
    call: Call
    stop_asked_by: str = ""


@dataclass
class _Wish:
    """A motion that waits for the running one to be stopped: the newest wish wins."""

    request_id: int
    command: HandCommand


@dataclass
class _Retry:
    """When to connect again, and how much longer to wait the next time."""

    due_ns: int = 0
    wait_ns: int = FIRST_RETRY_NS

    def later(self, now_ns: int) -> None:
        self.due_ns = now_ns + self.wait_ns
        self.wait_ns = min(2 * self.wait_ns, LAST_RETRY_NS)


@dataclass
class HandDriver:
    """One hand behind one address. Feed it requests with `ask`, turn it with `step`, read it with `fill`.

    Args:
        name: the hand's name in the cell, for texts.
        host: address or name of the robot that carries it.
        read_period_ns: between two readings of the width [ns].
        announce: where events go: (severity, code, text).
    """

    name: str
    host: str
    read_period_ns: int
    clock: Clock
    announce: Announce
    state: DriverState = DriverState.NOT_READY
    connection: int = 0
    request_id: int = 0
    request_status: RequestStatus = RequestStatus.NONE
    _address: str = ""
    _gripper: "franky.Gripper | None" = None
    _reading: "franky.GripperState | None" = None
    _read_stamp_ns: int = 0
    _next_read_ns: int = 0
    _connecting: Call | None = None
    _read: Call | None = None
    _stop: Call | None = None
    _stop_requests: list[int] = field(default_factory=list)
    _motion: _Motion | None = None
    _wish: _Wish | None = None
    _retry: _Retry = field(default_factory=_Retry)
    _reconnect_request: int = 0

    def __post_init__(self) -> None:
        # Reading, moving and stopping must not wait for one another.
        self._readers, self._movers, self._stoppers = (
            Caller(self.clock, f"hand-{what}") for what in ("reader", "mover", "stopper")
        )

    @property
    def busy(self) -> bool:
        """A motion is in flight or waits for its turn."""
        return self._motion is not None or self._wish is not None

    def step(self, now_ns: int) -> None:
        """One turn: collect what came back, find what is overdue, start what is due. Never waits."""
        self._collect_connection(now_ns)
        self._collect_reading(now_ns)
        self._collect_stop(now_ns)
        self._collect_motion(now_ns)
        if self._gripper is None and self._connecting is None and now_ns >= self._retry.due_ns:
            self._connect(now_ns)

    # Requests

    def ask(self, request: np.void, now_ns: int) -> None:
        """Take a `REQUEST` row; the answer is in `request_status`, a refusal's reason in an event."""
        self.request_id = request_id = int(request["id"])
        kind = int(request["kind"])
        self.request_status = RequestStatus.RUNNING
        if kind in MOTIONS:
            self._ask_motion(request_id, request, now_ns)
        elif kind == RequestKind.HAND_STOP:
            self._wish = None
            if self._gripper is None:
                self._refuse(request_id, "stop", self._why_not())
            else:
                self._stop_requests.append(request_id)
                self._begin_stop(f"request {request_id}", now_ns)
        elif kind == RequestKind.RECONNECT:
            self._reconnect_request = request_id
            if self._connecting is None or self._gripper is not None:
                self._lose_link("a new connection was asked for", now_ns)
            self._retry = _Retry(due_ns=now_ns)
        else:
            self._refuse(request_id, f"kind {kind}", "a hand knows homing, move, grasp, stop and reconnect")

    def _ask_motion(self, request_id: int, request: np.void, now_ns: int) -> None:
        what = RequestKind(int(request["kind"])).name.removeprefix("HAND_").lower()
        if self._gripper is None or self.state is not DriverState.OK or self._reading is None:
            self._refuse(request_id, what, self._why_not())
            return
        command = hand_command(request, float(self._reading.max_width))
        if isinstance(command, str):
            self._refuse(request_id, what, command)
            return
        if self._wish is not None:
            self._end(self._wish.request_id, RequestStatus.FAILED, f"{self._wish.command.text}: superseded")
        self._wish = _Wish(request_id, command)
        if self._motion is not None:
            self._begin_stop(f"request {request_id}, which supersedes it", now_ns)
        self._start_wish(now_ns)

    def _why_not(self) -> str:
        if self.state is DriverState.LINK_DEAD:
            return "the link to the hand is dead; it is being connected again"
        return "the hand is not connected yet"

    def _refuse(self, request_id: int, what: str, reason: str) -> None:
        self._set_status(request_id, RequestStatus.REFUSED)
        self.announce(
            Severity.WARNING, "hand_refused", f"hand '{self.name}': request {request_id} ({what}) refused: {reason}"
        )

    def _set_status(self, request_id: int, status: RequestStatus) -> None:
        if request_id == self.request_id:
            self.request_status = status

    def _end(self, request_id: int, status: RequestStatus, text: str) -> None:
        self._set_status(request_id, status)
        severity = Severity.INFO if status is RequestStatus.DONE else Severity.WARNING
        self.announce(
            severity, f"hand_{status.name.lower()}", f"hand '{self.name}': request {request_id} {status.name}: {text}"
        )

    # Motions

    def _start_wish(self, now_ns: int) -> None:
        if self._wish is None or self._motion is not None or self._stop is not None or self._gripper is None:
            return
        wish, self._wish = self._wish, None
        gripper, arguments = self._gripper, wish.command.arguments
        functions: dict[RequestKind, Callable[[], bool]] = {
            RequestKind.HAND_HOMING: gripper.homing,
            RequestKind.HAND_MOVE: lambda: gripper.move(*arguments),
            RequestKind.HAND_GRASP: lambda: gripper.grasp(*arguments),
        }
        due_ns = now_ns + int(wish.command.limit_s * 1e9)
        call = self._movers.submit(wish.command.text, functions[wish.command.kind], due_ns)
        self._motion = _Motion(wish.request_id, wish.command, call)

    def _collect_motion(self, now_ns: int) -> None:
        motion = self._motion
        if motion is not None and motion.call.done:
            # Whoever sees the answer must see a width that was read after the motion, not the one before.
            answered = motion.call.error is None or isinstance(motion.call.error, franky.CommandException)
            if answered and self._read_stamp_ns < motion.call.done_ns:
                self._next_read_ns = min(self._next_read_ns, now_ns)
                return
            self._motion = None
            self._report_motion(motion, now_ns)
        elif motion is not None and motion.call.overdue(now_ns):
            if not motion.stop_asked_by:
                self._begin_stop(f"the driver: it did not end within {motion.command.limit_s:.0f} s", now_ns)
                motion.call.due_ns = now_ns + STOP_NS
            else:
                self._lose_link(f"{motion.command.text} never came back, nor after a stop", now_ns)
        self._start_wish(now_ns)

    def _report_motion(self, motion: _Motion, now_ns: int) -> None:
        error, text = motion.call.error, motion.command.text
        if error is None and motion.call.result:
            self._end(motion.request_id, RequestStatus.DONE, text)
        elif error is None:
            held = "nothing of that width is held" if motion.command.kind is RequestKind.HAND_GRASP else "not reached"
            self._end(motion.request_id, RequestStatus.UNSUCCESSFUL, f"{text}: {held}")
        elif isinstance(error, franky.CommandException):
            because = f" (stopped by {motion.stop_asked_by})" if motion.stop_asked_by else ""
            self._end(motion.request_id, RequestStatus.FAILED, f"{text}: {error}{because}")
        else:
            self._end(motion.request_id, RequestStatus.FAILED, f"{text}: {error}: the width is unknown")
            self._lose_link(f"{text}: {error}", now_ns)

    def _begin_stop(self, asked_by: str, now_ns: int) -> None:
        if self._motion is not None and not self._motion.stop_asked_by:
            self._motion.stop_asked_by = asked_by
        if self._stop is None and self._gripper is not None:
            self._stop = self._stoppers.submit("stop", self._gripper.stop, now_ns + STOP_NS)

    def _collect_stop(self, now_ns: int) -> None:
        stop = self._stop
        if stop is None or not (stop.done or stop.overdue(now_ns)):
            return
        self._stop = None
        asked, self._stop_requests = self._stop_requests, []
        if not stop.done:
            self._lose_link(f"stop did not come back within {STOP_NS / 1e9:.0f} s", now_ns)
        for request_id in asked:
            if stop.done and stop.error is None and stop.result:
                self._end(request_id, RequestStatus.DONE, "stop")
            else:
                self._end(request_id, RequestStatus.FAILED, f"stop: {stop.error or 'the hand did not confirm it'}")

    # The link

    def _connect(self, now_ns: int) -> None:
        def connect() -> franky.Gripper:
            self._address = resolve(self.host)
            return franky.Gripper(self._address)

        self._connecting = self._readers.submit("connect", connect, now_ns + CONNECT_NS)

    def _collect_connection(self, now_ns: int) -> None:
        call = self._connecting
        if call is None or not (call.done or call.overdue(now_ns)):
            return
        self._connecting = None
        if not call.done:
            cut_connections(self._address, HAND_PORT)
            self._readers.abandon()
            self._not_connected(f"no answer within {CONNECT_NS / 1e9:.0f} s", now_ns)
        elif call.error is not None:
            self._not_connected(self._connect_problem(call.error), now_ns)
        else:
            self._gripper, call.result = call.result, None
            self.connection += 1
            self._next_read_ns = now_ns  # OK only once a first reading is here

    def _connect_problem(self, error: Exception) -> str:
        if isinstance(error, franky.IncompatibleVersionException):
            return f"{error}; this installation speaks hand server version {SUPPORTED_SERVER} only: update the robot's system image"
        if isinstance(error, SinewError):
            return str(error)
        return f"{error}: check that a Franka Hand is mounted, switched on in Desk, and FCI is active"

    def _not_connected(self, reason: str, now_ns: int) -> None:
        self._retry.later(now_ns)
        self.state = DriverState.LINK_DEAD if self.connection else DriverState.NOT_READY
        wait_s = (self._retry.due_ns - now_ns) / 1e9
        self.announce(
            Severity.ERROR,
            "hand_not_connected",
            f"hand '{self.name}' at {self.host}:{HAND_PORT}: {reason} (next attempt in {wait_s:.1f} s)",
        )
        if self._reconnect_request:
            self._end(self._reconnect_request, RequestStatus.FAILED, f"reconnect: {reason}")
            self._reconnect_request = 0

    def _collect_reading(self, now_ns: int) -> None:
        call = self._read
        if call is not None and call.done:
            self._read = None
            if call.error is not None:
                self._lose_link(str(call.error), now_ns)
            else:
                self._take_reading(call, now_ns)
        elif call is not None and call.overdue(now_ns):
            self._lose_link(f"no width within {READ_NS / 1e9:.0f} s", now_ns)
        if self._gripper is not None and self._read is None and now_ns >= self._next_read_ns:
            gripper = self._gripper
            self._read = self._readers.submit("state", lambda: gripper.state, now_ns + READ_NS)
            self._next_read_ns = now_ns + self.read_period_ns

    def _take_reading(self, call: Call, now_ns: int) -> None:
        self._reading, self._read_stamp_ns = call.result, call.done_ns
        if self.state is DriverState.OK:
            return
        self.state = DriverState.OK
        self._retry = _Retry()
        self.announce(
            Severity.INFO, "hand_connected", f"hand '{self.name}' at {self.host}: connection {self.connection}"
        )
        if self._reconnect_request:
            self._end(self._reconnect_request, RequestStatus.DONE, "reconnect")
            self._reconnect_request = 0

    def _lose_link(self, reason: str, now_ns: int) -> None:
        """Give the connection up: cut it, so that whatever waits in the library comes back, and say so."""
        if self._gripper is not None or self._connecting is not None:
            cut_connections(self._address, HAND_PORT)
        connected = self._gripper is not None
        self._gripper = self._reading = self._connecting = None
        self._wish_lost()
        for caller in (self._readers, self._movers, self._stoppers):
            caller.abandon()
        self._read = self._stop = None
        if self._motion is not None:
            motion, self._motion = self._motion, None
            text = f"{motion.command.text}: the link died: {reason}: the width is unknown"
            self._end(motion.request_id, RequestStatus.FAILED, text)
        for request_id in self._stop_requests:
            self._end(request_id, RequestStatus.FAILED, f"stop: the link died: {reason}")
        self._stop_requests = []
        if connected:
            self.state = DriverState.LINK_DEAD
            self._retry.later(now_ns)
            self.announce(Severity.ERROR, "hand_link_dead", f"hand '{self.name}' at {self.host}: {reason}")

    def _wish_lost(self) -> None:
        if self._wish is not None:
            wish, self._wish = self._wish, None
            self._end(wish.request_id, RequestStatus.FAILED, f"{wish.command.text}: the link died first")

    # What others see

    def fill(self, row: np.void, now_ns: int) -> None:
        """Write a `HAND_STATE` row. Without a fresh reading the width is NaN and nothing counts as held."""
        limit_ns = 2 * self.read_period_ns + STALE_NS
        reading = self._reading if now_ns - self._read_stamp_ns <= limit_ns else None
        row["width_m"] = reading.width if reading is not None else np.nan
        row["max_width_m"] = reading.max_width if reading is not None else np.nan
        row["is_grasped"] = bool(reading.is_grasped) if reading is not None else 0
        row["temperature_c"] = reading.temperature if reading is not None else np.nan
        row["driver_state"], row["busy"], row["connection"] = self.state, self.busy, self.connection
        row["read_stamp_ns"] = self._read_stamp_ns
        row["request_id"], row["request_status"] = self.request_id, self.request_status

    # The end

    def begin_close(self, now_ns: int) -> None:
        """Stop a motion in flight; keep turning `step` until `busy` is over, at most `STOP_NS` [ns], then `close`."""
        self._wish_lost()
        if self._motion is not None:
            self._begin_stop("the end of the driver", now_ns)

    def close(self) -> None:
        """Let go of the hand. What it holds stays held: the hand keeps its force by itself."""
        if self._gripper is not None or self._connecting is not None:
            cut_connections(self._address, HAND_PORT)
        self._gripper = self._reading = None
        for caller in (self._movers, self._stoppers, self._readers):
            caller.close(1.5)
