"""The arm driver: everything about one Franka arm that decides, stepped by a thin process.

One activity at a time (streaming, stopping, go-to, recovery); the robot's state is found by looking at every turn, since
errors of asynchronous motions are silent. Whatever goes wrong ends in rest and waits for a person: nothing here enables
motion by itself, and a lost connection is built anew without resuming anything.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.device import DeviceShell
from drivers.franka import goto
from drivers.franka.activity import Activity, Outcome
from drivers.franka.driver_state import describe_state, find_state
from drivers.franka.frames import pose_distance, pose_matrix, pose_text
from drivers.franka.last_word import LastWord
from drivers.franka.link import Link
from drivers.franka.link_keeper import LinkKeeper
from drivers.franka.reader import Seen
from drivers.franka.recovery import Applying, Recovery
from drivers.franka.robot_lock import RobotLock, resolve
from drivers.franka.settings import Settings, SettingsError
from drivers.franka.state_ring import StateRing
from drivers.franka.stopping import Stopping
from drivers.franka.streaming import Acknowledgement, Stream, Streaming
from drivers.franka.streaming_impedance import ImpedanceStream
from drivers.franka.streaming_velocity import VelocityStream
from drivers.franka.view import RobotView
from drivers.franka.watchdog import Watchdog
from runtime.cell import Cell
from runtime.clock import Clock
from runtime.errors import SinewError
from runtime.ring import RingReader, RowStatus, instance_dir
from runtime.rows import (
    ARM_COMMAND,
    CommandMode,
    DriverState,
    RequestKind,
    RequestStatus,
    RobotMode,
    Severity,
)

FRAME_TOLERANCE_M, FRAME_TOLERANCE_RAD = 1e-3, 1e-2

MODES = {
    "joint_velocity": CommandMode.JOINT_VELOCITY,
    "joint_impedance": CommandMode.JOINT_IMPEDANCE,
    "cartesian_impedance": CommandMode.CARTESIAN_IMPEDANCE,
}


class ArmDriver:
    """Drives the arm `name` of a cell.

    Writes `arm.NAME.state` and `arm.NAME.identity.json`, reads `arm.NAME.command`; requests, events and heartbeat go
    through the shell. `step` never waits. `ended` turns true after `begin_shutdown` once the arm is at rest; `fatal` is
    set when the robot cannot be used at all.

    Raises:
        RobotHeldError: another driver holds the robot.
        NoConnectionError: the host name has no address.
    """

    def __init__(
        self,
        name: str,
        cell: Cell,
        shell: DeviceShell,
        clock: Clock,
        *,
        enforce_realtime: bool = False,
        at_thread_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._arm, self._profile = cell.arms[name], cell.limits.active
        self._shell = shell
        address = resolve(self._arm.host)
        self._lock = RobotLock(self._arm.host, address)
        try:
            self._ring = StateRing(shell.instance, name)
        except SinewError:
            self._lock.release()
            raise
        self._commands = RingReader(shell.instance, f"arm.{name}.command", ARM_COMMAND)
        self._identity_path = instance_dir(shell.instance) / f"arm.{name}.identity.json"
        self._T_cell_flange_ee = pose_matrix(self._arm.T_flange_ee)
        self._view = RobotView()
        self._link = Link(self._arm.host, address, clock, at_thread_start)
        self._keeper = LinkKeeper(
            self._link,
            self._view,
            Settings(self._arm.collision, self._arm.load),
            self._identity_path,
            shell.event,
            enforce_realtime=enforce_realtime,
        )
        self._ack = Acknowledgement()
        self._activity: Activity | None = None
        self._planner_error = ""
        self._motion_error: tuple[str, int] | None = None
        self._request_id, self._request_kind, self._request_status = 0, 0, RequestStatus.NONE
        self._last_enabled = (0, 0)  # session of the command ring, highest generation that acted
        self._driver_state: DriverState | None = None
        self._shutting_down = self.ended = False

    # ---- one turn ----

    def step(self, now_ns: int) -> None:
        """One turn of the driver at monotonic time `now_ns` [ns]; takes everything that came since the last."""
        self._mind_link(now_ns)
        self._take_states(now_ns)
        self._judge_motion_error(now_ns)
        before = (self._driver_state, self._activity)
        self._mind_state(now_ns)
        for row in self._shell.requests():
            self._take_request(row, now_ns)
        if self._activity is not None:
            outcome = self._activity.step(self._view, now_ns)
            if outcome is not None:
                self._conclude(outcome, now_ns)
        self._mind_state(now_ns)
        if (self._driver_state, self._activity) != before or self._ring.silent(now_ns):
            self._commit(now_ns)
        if self._shutting_down and self._activity is None:
            self.ended = True

    @property
    def fatal(self) -> SinewError | None:
        """Why this robot cannot be used at all, or None."""
        return self._keeper.fatal

    @property
    def state(self) -> DriverState:
        """What the robot was found to be in the last turn."""
        return self._driver_state or DriverState.NOT_READY

    def begin_shutdown(self, now_ns: int) -> None:
        """Bring the arm to rest, then let `ended` turn true. Bounded in time, whatever the client library does."""
        if not self._shutting_down:
            self._shutting_down = True
            if self._link.connected or self._link.connection:
                self._stop("the driver is being ended", 0, now_ns)

    def close(self) -> bool:
        """Let the robot go; False if a thread is still inside the client library (end the process by os._exit)."""
        clean = self._link.close(timeout_s=2.0)
        self._identity_path.unlink(missing_ok=True)
        self._ring.close()
        self._lock.release()
        return clean

    # ---- the link ----

    def _mind_link(self, now_ns: int) -> None:
        if why := self._keeper.find_trouble(now_ns):
            self._lose_link(why, now_ns)
        elif self._keeper.connect(now_ns):
            self._planner_error, self._motion_error = "", None
            if self._request_kind == RequestKind.RECONNECT and self._request_status == RequestStatus.RUNNING:
                self._answer(RequestStatus.DONE, self._request_id)

    def _lose_link(self, why: str, now_ns: int) -> None:
        self._keeper.lose(why, now_ns)
        if not isinstance(self._activity, Stopping) and self._activity is not None:
            self._answer(RequestStatus.FAILED, self._activity.request_id)
            self._stop("the connection was lost", 0, now_ns)

    # ---- what the robot says ----

    def _take_states(self, now_ns: int) -> None:
        reader = self._link.reader
        if reader is None:
            return
        while reader.motion_errors:
            self._motion_error = (str(reader.motion_errors.popleft()), now_ns)
        for _ in range(len(reader.seen)):
            self._publish(reader.seen.popleft(), now_ns)

    def _publish(self, one: Seen, now_ns: int) -> None:
        self._view.take(one, self._ring.robot_reported(one))
        self._mind_state(now_ns)  # no row says REFLEX and, in the same breath, that commands act
        self._commit(one.stamp_ns)

    def _commit(self, stamp_ns: int) -> None:
        self._ring.driver_knows(
            self._found_state(),
            self._activity,
            self._view,
            self._ack,
            connection=self._link.connection,
            connected=self._link.connected,
            request=(self._request_id, self._request_status),
        )
        self._ring.commit(stamp_ns)

    def _found_state(self) -> DriverState:
        return find_state(self._view, self._planner_error, in_touch=self._keeper.in_touch)

    def _judge_motion_error(self, now_ns: int) -> None:
        """A motion ended by an error: the robot's own state explains it, or else it is a planner error."""
        if self._motion_error is None or self._view.stamp_ns <= self._motion_error[1]:
            return
        text, self._motion_error = self._motion_error[0], None
        explained = self._found_state() is not DriverState.OK
        asked_for = isinstance(self._activity, Stopping) and "preempted" in text
        if not explained and not asked_for:
            self._planner_error = text

    def _mind_state(self, now_ns: int) -> None:
        """Tell a change of state, and bring an arm to rest that is not OK any more."""
        found = self._found_state()
        if found is not self._driver_state:
            self._driver_state = found
            severity, text = describe_state(found, self._view, self._planner_error)
            self._event(now_ns, severity, f"state.{found.name.lower()}", text)
            if found is DriverState.OK and self._activity is None and self._link.settings_problem:
                self._activity = Applying(self._link, self._keeper.settings, 0)
        if found is not DriverState.OK and isinstance(self._activity, Streaming | goto.Goto):
            self._answer(RequestStatus.FAILED, self._activity.request_id)
            self._stop(f"the driver's state is {found.name}", 0, now_ns)

    # ---- ends of activities ----

    def _conclude(self, outcome: Outcome, now_ns: int) -> None:
        activity = self._activity
        assert activity is not None
        self._event(now_ns, outcome.severity, outcome.code, outcome.text)
        if outcome.status is None and not outcome.stop:
            self._lose_link(outcome.link_lost, now_ns)  # the activity goes on
            return
        self._leave(activity)
        if outcome.status is not None:
            self._answer(outcome.status, activity.request_id)
        if isinstance(activity, Recovery) and outcome.status == RequestStatus.DONE:
            self._planner_error = ""
            if self._link.settings_problem:
                self._activity = Applying(self._link, self._keeper.settings, 0)
        if outcome.link_lost:
            self._lose_link(outcome.link_lost, now_ns)
        if outcome.stop:
            self._stop(outcome.text, 0, now_ns)

    def _leave(self, activity: Activity) -> None:
        if isinstance(activity, Streaming):
            self._last_enabled = (self._last_enabled[0], activity.generation)
        self._activity = None

    def _stop(self, why: str, request_id: int, now_ns: int) -> None:
        """From here on nothing acts but the stop; a stop under way goes on and answers the newer request."""
        if isinstance(self._activity, Stopping):
            self._activity.request_id = request_id or self._activity.request_id
            return
        if self._activity is not None:
            self._leave(self._activity)
        self._activity = Stopping(self._link, self._view, why, request_id, now_ns)
        self._event(now_ns, Severity.INFO, "stopping", f"the arm is brought to rest: {why}")

    # ---- requests ----

    def _answer(self, status: RequestStatus, request_id: int) -> None:
        """How a request ended; the row shows the newest request only, the events tell of all."""
        if request_id and request_id == self._request_id:
            self._request_status = status

    def _take_request(self, row: np.void, now_ns: int) -> None:
        kind = int(row["kind"])
        self._request_id, self._request_kind = int(row["id"]), kind
        self._request_status = RequestStatus.RUNNING
        handler = _HANDLERS.get(kind)
        refusal = handler(self, row, now_ns) if handler else f"request kind {kind} is not for an arm"
        if refusal is not None:
            self._request_status = RequestStatus.REFUSED
            name = RequestKind(kind).name if kind in _HANDLERS else str(kind)
            self._event(now_ns, Severity.WARNING, "refused", f"{name} refused: {refusal}")
        self._commit(now_ns)

    def _not_free(self) -> str | None:
        """Why nothing can be started now, or None."""
        if self._shutting_down:
            return "the driver is being ended"
        state = self._found_state()
        if state is not DriverState.OK:
            return f"the driver's state is {state.name}"
        if self._activity is not None:
            return f"the arm is busy: {self._activity.kind.name}"
        if self._view.mode != RobotMode.IDLE:
            return f"the robot's mode is {self._view.mode.name}, not IDLE"
        return None if self._view.still else "the arm is not at rest yet"

    def _enable(self, row: np.void, now_ns: int) -> str | None:
        generation = int(row["generation"])
        try:
            mode = CommandMode(int(row["mode"]) or MODES[self._arm.command_mode])
        except ValueError:
            return f"mode {int(row['mode'])} is none of {[one.name for one in CommandMode]}"
        if refusal := self._not_free() or self._wrong_frame():
            return refusal
        if self._link.settings_problem:
            return self._link.settings_problem
        self._commands.latest(now_ns)
        if self._commands.status is RowStatus.ABSENT:
            return f"there is no command ring '{self._commands.name}': start the commander first"
        session = self._commands.attached_session
        floor = self._last_enabled[1] if session == self._last_enabled[0] else 0
        if generation <= floor:
            return f"generation {generation} is not newer than {floor}, which acted before: a re-arm needs a newer one"
        self._commands.skip_to_head()  # what was written before acts no more
        self._start_streaming(mode, generation, session, now_ns)
        self._answer(RequestStatus.DONE, self._request_id)
        self._event(now_ns, Severity.INFO, "enabled", f"enabled: {mode.name}, generation {generation}")
        return None

    def _start_streaming(self, mode: CommandMode, generation: int, session: int, now_ns: int) -> None:
        identity = self._link.identity
        assert identity is not None
        watchdog_ns = round(self._arm.watchdog_ms * 1e6)
        stream: Stream
        if mode == CommandMode.JOINT_VELOCITY:
            stream = VelocityStream(self._link, identity.limits, self._arm.position_gain_1_s)
        else:
            stream = ImpedanceStream(self._link, identity.limits, self._arm.impedance, mode)
        last_word = LastWord(
            identity.limits,
            self._profile.jump_stop_rad,
            watchdog_ns,
            mode=mode,
            generation=generation,
            session=session,
            enabled_ns=now_ns,
        )
        self._last_enabled = (session, generation)
        watchdog = Watchdog(watchdog_ns, now_ns)
        self._activity = Streaming(self._commands, stream, last_word, watchdog, self._ack, mode)

    def _wrong_frame(self) -> str | None:
        distance, angle = pose_distance(self._T_cell_flange_ee, self._view.T_flange_ee)
        if distance <= FRAME_TOLERANCE_M and angle <= FRAME_TOLERANCE_RAD:
            return None
        return (
            f"the robot's end-effector frame differs from the cell file by {1e3 * distance:.1f} mm and {angle:.3f} rad: "
            f"robot {pose_text(self._view.T_flange_ee)}; cell T_flange_ee {pose_text(self._T_cell_flange_ee)}: "
            "correct the one that is wrong (Desk: end effector settings)"
        )

    def _goto(self, row: np.void, now_ns: int) -> str | None:
        identity = self._link.identity
        q, speed = tuple(row["q"].tolist()), float(row["speed_factor"])
        if refusal := self._not_free():
            return refusal
        assert identity is not None
        if refusal := goto.refusal(q, speed, identity.limits):
            return refusal
        self._activity = goto.Goto(self._link, q, speed, self._request_id)
        return None

    def _recover(self, row: np.void, now_ns: int) -> str | None:
        state = self._found_state()
        if self._activity is not None or self._shutting_down:
            return f"the arm is busy: {self._activity.kind.name}" if self._activity else "the driver is being ended"
        if state is DriverState.OK:
            self._answer(RequestStatus.DONE, self._request_id)
            return None
        if state is DriverState.USER_STOP:
            return "the user stop is pressed: release it first"
        if state in (DriverState.LINK_DEAD, DriverState.NOT_READY):
            return f"the driver's state is {state.name}: there is nothing that a recovery could clear"
        self._activity = Recovery(self._link, self._request_id)
        return None

    def _stop_request(self, row: np.void, now_ns: int) -> str | None:
        why = "asked to disable" if self._request_kind == RequestKind.DISABLE else "asked to stop"
        self._stop(why, self._request_id, now_ns)
        return None

    def _reconnect(self, row: np.void, now_ns: int) -> str | None:
        if self._activity is not None:
            return f"the arm is busy: {self._activity.kind.name}: stop it first"
        self._lose_link("asked to reconnect", now_ns)
        return None

    def _set(self, row: np.void, now_ns: int) -> str | None:
        try:
            settings = self._keeper.settings.requested(self._request_kind, row["values"].tolist())
        except SettingsError as error:
            return str(error)
        if refusal := self._not_free():
            return refusal
        self._keeper.settings = settings
        self._keeper.write_identity()
        self._activity = Applying(self._link, settings, self._request_id)
        return None

    def _shutdown_request(self, row: np.void, now_ns: int) -> str | None:
        self.begin_shutdown(now_ns)
        return None

    def _event(self, now_ns: int, severity: Severity, code: str, text: str) -> None:
        self._shell.event(now_ns, severity, code, text)


_HANDLERS: dict[int, Callable[[ArmDriver, np.void, int], Any]] = {
    RequestKind.ENABLE: ArmDriver._enable,
    RequestKind.DISABLE: ArmDriver._stop_request,
    RequestKind.STOP: ArmDriver._stop_request,
    RequestKind.RECOVER: ArmDriver._recover,
    RequestKind.GOTO: ArmDriver._goto,
    RequestKind.RECONNECT: ArmDriver._reconnect,
    RequestKind.SET_COLLISION: ArmDriver._set,
    RequestKind.SET_LOAD: ArmDriver._set,
    RequestKind.SHUTDOWN: ArmDriver._shutdown_request,
}
