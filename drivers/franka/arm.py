"""The arm driver: everything about one Franka arm that decides, stepped by a thin process.

One activity at a time (streaming, stopping, go-to, recovery); the robot's state is found by looking at every turn, since
errors of asynchronous motions are silent. Whatever goes wrong ends in rest and waits for a person: nothing here enables
motion by itself, and a lost connection is built anew without resuming anything.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import ValidationError

from drivers.device import DeviceShell
from drivers.franka import goto
from drivers.franka.activity import Activity, Outcome
from drivers.franka.bounded import Call
from drivers.franka.connection import Settings
from drivers.franka.errors import NoConnectionError, describe_errors
from drivers.franka.frames import pose_distance, pose_matrix, pose_text
from drivers.franka.last_word import LastWord
from drivers.franka.link import Link
from drivers.franka.reader import Seen
from drivers.franka.recovery import Applying, Recovery
from drivers.franka.robot_lock import RobotLock, resolve
from drivers.franka.state import fill_state
from drivers.franka.stopping import Stopping
from drivers.franka.streaming import Acknowledgement, Stream, Streaming
from drivers.franka.streaming_impedance import ImpedanceStream
from drivers.franka.streaming_velocity import VelocityStream
from drivers.franka.view import RobotView
from drivers.franka.watchdog import Watchdog
from runtime.cell import Cell, Collision, Load
from runtime.clock import Clock
from runtime.errors import SinewError
from runtime.ring import RingReader, RingWriter, RowStatus, instance_dir
from runtime.rows import (
    ARM_COMMAND,
    ARM_STATE,
    ArmActivity,
    CommandMode,
    DriverState,
    RequestKind,
    RequestStatus,
    RobotMode,
    Severity,
)

STATE_SLOTS = 16384  # 16 s at 1 kHz: the black box needs 10
FROZEN_NS = 1_200_000_000  # robot time stands still, no error in sight: the link is dead
FROZEN_IN_CONTROL_NS = 3_500_000_000  # a robot may take 1.21 s to report a motion's end; the stop ladder is quicker
RECONNECT_NS = 1_000_000_000
SILENT_ROW_NS = 20_000_000  # with no new robot state, a row this often says what the driver knows
FRAME_TOLERANCE_M, FRAME_TOLERANCE_RAD = 1e-3, 1e-2

# What the robot's mode makes of the driver; keyed on the mode, because error flags can read clear while Reflex is latched.
STATE_OF_MODE = {
    RobotMode.OTHER: DriverState.NOT_READY,
    RobotMode.IDLE: DriverState.OK,
    RobotMode.MOVE: DriverState.OK,
    RobotMode.GUIDING: DriverState.NOT_READY,
    RobotMode.REFLEX: DriverState.REFLEX,
    RobotMode.USER_STOPPED: DriverState.USER_STOP,
    RobotMode.AUTOMATIC_ERROR_RECOVERY: DriverState.NOT_READY,
}

# What an operator reads when the driver enters a state.
SENTENCES = {
    DriverState.NOT_READY: (
        Severity.WARNING,
        "the arm cannot move: {why_not}",
    ),
    DriverState.OK: (Severity.INFO, "the arm is ready; it moves only after ENABLE or GOTO"),
    DriverState.REFLEX: (
        Severity.ERROR,
        "the robot stopped by its own reflex ({errors}): clear the cause, then recover",
    ),
    DriverState.USER_STOP: (Severity.ERROR, "the user stop is pressed: release it when the cell is safe, then re-arm"),
    DriverState.LINK_DEAD: (Severity.ERROR, "no connection to the robot: check cable, power and FCI; reconnecting"),
    DriverState.PLANNER_ERROR: (
        Severity.ERROR,
        "a motion ended by an error of its own ({planner}): recover, then re-arm",
    ),
}

WHY_NOT = {
    RobotMode.OTHER: "the robot's mode is Other: open the brakes and activate FCI in Desk",
    RobotMode.GUIDING: "somebody guides it by hand: let go of the guiding button",
    RobotMode.AUTOMATIC_ERROR_RECOVERY: "error recovery is running",
}

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
        self._shell, self._clock, self._enforce_realtime = shell, clock, enforce_realtime
        address = resolve(self._arm.host)
        self._lock = RobotLock(self._arm.host, address)
        try:
            self._state = RingWriter(shell.instance, f"arm.{name}.state", ARM_STATE, STATE_SLOTS)
        except SinewError:
            self._lock.release()
            raise
        self._commands = RingReader(shell.instance, f"arm.{name}.command", ARM_COMMAND)
        self._identity_path = instance_dir(shell.instance) / f"arm.{name}.identity.json"
        self._T_cell_flange_ee = pose_matrix(self._arm.T_flange_ee)
        self._settings = Settings(self._arm.collision, self._arm.load)
        self._link = Link(self._arm.host, address, clock, at_thread_start)
        self._view = RobotView()
        self._ack = Acknowledgement()
        self._activity: Activity | None = None
        self._connecting: Call | None = None
        self._connect_due_ns = 0
        self._connect_trouble = ""
        self._planner_error = ""
        self._motion_error: tuple[str, int] | None = None
        self._request_id, self._request_status = 0, RequestStatus.NONE
        self._last_enabled = (0, 0)  # session of the command ring, highest generation that acted
        self._driver_state: DriverState | None = None
        self._last_row_ns = 0
        self._shutting_down = self.ended = False
        self.fatal: SinewError | None = None
        for field in ("q", "dq", "tau", "tau_ext", "q_d", "dq_d", "ddq_d", "wrench_base", "wrench_k", "T_base_ee",
                      "T_base_ee_d", "T_flange_ee", "success_rate", "ack_q"):  # fmt: skip
            self._state.row[field] = np.nan  # nothing is known yet; a zero would be an invented position

    # ---- one turn ----

    def step(self, now_ns: int) -> None:
        """One turn of the driver at monotonic time `now_ns` [ns]; takes everything that came since the last."""
        self._mind_link(now_ns)
        self._take_states(now_ns)
        self._judge_motion_error(now_ns)
        before = self._driver_state
        self._mind_state(now_ns)
        for row in self._shell.requests():
            self._take_request(row, now_ns)
        if self._activity is not None:
            outcome = self._activity.step(self._view, now_ns)
            if outcome is not None:
                self._conclude(outcome, now_ns)
        self._mind_state(now_ns)
        if self._driver_state is not before or now_ns - self._last_row_ns > SILENT_ROW_NS:
            self._commit(now_ns)
        if self._shutting_down and self._activity is None:
            self.ended = True

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
        self._state.close()
        self._lock.release()
        return clean

    # ---- the link ----

    def _mind_link(self, now_ns: int) -> None:
        reader = self._link.reader
        if reader is not None:
            frozen_ns = now_ns - self._view.advanced_ns
            if reader.failure is not None:
                self._lose_link(f"the client library reports: {reader.failure}", now_ns)
            elif frozen_ns > (FROZEN_IN_CONTROL_NS if self._view.in_control else FROZEN_NS):
                self._lose_link(f"robot time has not advanced for {frozen_ns / 1e6:.0f} ms", now_ns)
            return
        if self._connecting is None:
            if now_ns >= self._connect_due_ns and self.fatal is None:
                self._connecting = self._link.start_connecting(self._settings, enforce_realtime=self._enforce_realtime)
            return
        call = self._connecting
        if not call.done:
            if call.overdue(now_ns):
                self._connect_problem(f"robot '{self._arm.host}': no answer; still trying", now_ns)
            return
        self._connecting = None
        if call.error is None:
            self._adopt(call, now_ns)
        elif isinstance(call.error, SinewError) and not isinstance(call.error, NoConnectionError):
            self.fatal = call.error
            self._event(now_ns, Severity.ERROR, "fatal", str(call.error))
        else:
            self._connect_due_ns = now_ns + RECONNECT_NS
            self._connect_problem(str(call.error), now_ns)

    def _connect_problem(self, text: str, now_ns: int) -> None:
        if text != self._connect_trouble:  # the same trouble is told once, not every second
            self._connect_trouble = text
            self._event(now_ns, Severity.WARNING, "connect.failed", text)

    def _adopt(self, call: Call, now_ns: int) -> None:
        self._connect_trouble = self._planner_error = ""
        self._motion_error = None
        self._view.new_connection(now_ns)
        self._link.adopt(call)
        identity = self._link.identity
        assert identity is not None
        identity.write(self._identity_path, self._settings)
        text = f"connected to {identity.host} ({identity.address}), server version {identity.server_version}"
        self._event(now_ns, Severity.INFO, "connected", text)
        if self._link.settings_problem:
            self._event(now_ns, Severity.WARNING, "settings.failed", self._link.settings_problem)
        if self._request_kind_running == RequestKind.RECONNECT:
            self._answer(RequestStatus.DONE)

    def _lose_link(self, why: str, now_ns: int) -> None:
        self._event(now_ns, Severity.ERROR, "link.lost", f"{why}: the connection is cut, the robot stops by itself")
        self._link.drop()
        self._view.in_control = False
        self._view.still_states = 0
        self._connect_due_ns = now_ns
        if not isinstance(self._activity, Stopping) and self._activity is not None:
            if self._activity.request_id:
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
        row = self._state.row
        fill_state(row, one.state)
        self._view.take(one, int(row["errors"]))
        self._mind_state(now_ns)  # no row says REFLEX and, in the same breath, that commands act
        self._commit(one.stamp_ns)

    def _commit(self, stamp_ns: int) -> None:
        """Write a row: the newest robot state (untouched if none came) and what the driver knows."""
        row, view, ack, activity = self._state.row, self._view, self._ack, self._activity
        row["driver_state"] = self._found_state()
        streaming = activity if isinstance(activity, Streaming) else None
        idle = ArmActivity.IDLE if self._link.connected else ArmActivity.CONNECTING
        row["activity"] = activity.kind if activity is not None else idle
        row["command_mode"] = streaming.mode if streaming else CommandMode.NONE
        row["enabled_generation"] = streaming.generation if streaming else 0
        row["connection"] = self._link.connection
        row["states_seen"], row["states_missed"] = view.seen, view.missed
        if ack.command is not None:
            row["ack_sequence"], row["ack_generation"] = ack.command.sequence, ack.command.generation
            row["ack_trace"], row["ack_stamp_ns"] = ack.command.trace, ack.stamp_ns
            row["ack_q"] = ack.command.q
        row["rejected"], row["reject_reason"] = ack.rejected, ack.reason
        row["watchdog_stops"] = ack.watchdog_stops
        row["request_id"], row["request_status"] = self._request_id, self._request_status
        self._state.commit(stamp_ns)
        self._last_row_ns = stamp_ns

    @property
    def _seen_this_connection(self) -> bool:
        return self._link.connected and self._view.robot_time_ns >= 0

    def _found_state(self) -> DriverState:
        if not self._seen_this_connection:
            return DriverState.LINK_DEAD if self._view.seen else DriverState.NOT_READY
        found = STATE_OF_MODE[self._view.mode]
        if found is DriverState.OK and self._view.errors:
            return DriverState.REFLEX
        if found is DriverState.OK and self._planner_error:
            return DriverState.PLANNER_ERROR
        return found

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
            severity, sentence = SENTENCES[found]
            text = sentence.format(
                why_not=WHY_NOT.get(self._view.mode, "") if self._seen_this_connection else "not connected yet",
                errors=describe_errors(self._view.errors),
                planner=self._planner_error,
            )
            self._event(now_ns, severity, f"state.{found.name.lower()}", text)
            if found is DriverState.OK and self._activity is None and self._link.settings_problem:
                self._activity = Applying(self._link, self._settings, 0)
        if found is not DriverState.OK and isinstance(self._activity, Streaming | goto.Goto):
            if self._activity.request_id:
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
        if outcome.status is not None and activity.request_id:
            self._answer(outcome.status, activity.request_id)
        if isinstance(activity, Recovery) and outcome.status == RequestStatus.DONE:
            self._planner_error = ""
            if self._link.settings_problem:
                self._activity = Applying(self._link, self._settings, 0)
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

    @property
    def _request_kind_running(self) -> int:
        return self._running_kind if self._request_status == RequestStatus.RUNNING else 0

    _running_kind = 0

    def _answer(self, status: RequestStatus, request_id: int | None = None) -> None:
        if request_id is None or request_id == self._request_id:
            self._request_status = status

    def _take_request(self, row: np.void, now_ns: int) -> None:
        kind = int(row["kind"])
        self._request_id, self._running_kind = int(row["id"]), kind
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
        self._answer(RequestStatus.DONE)
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
            self._answer(RequestStatus.DONE)
            return None
        if state is DriverState.USER_STOP:
            return "the user stop is pressed: release it first"
        if state in (DriverState.LINK_DEAD, DriverState.NOT_READY):
            return f"the driver's state is {state.name}: there is nothing that a recovery could clear"
        self._activity = Recovery(self._link, self._request_id)
        return None

    def _stop_request(self, row: np.void, now_ns: int) -> str | None:
        if self._request_id and self._running_kind == RequestKind.DISABLE:
            self._stop("asked to disable", self._request_id, now_ns)
        else:
            self._stop("asked to stop", self._request_id, now_ns)
        return None

    def _reconnect(self, row: np.void, now_ns: int) -> str | None:
        if self._activity is not None:
            return f"the arm is busy: {self._activity.kind.name}: stop it first"
        if self._link.connected:
            self._lose_link("asked to reconnect", now_ns)
        self._connect_due_ns = now_ns
        return None

    def _set(self, row: np.void, now_ns: int) -> str | None:
        values = [float(value) for value in row["values"]]
        try:
            if self._running_kind == RequestKind.SET_COLLISION:
                collision = Collision(torque_nm=tuple(values[:7]), force_n=tuple(values[7:13]))
                if min(values[:13]) <= 0.0:
                    return f"collision thresholds must be positive: {values[:13]}"
                settings = Settings(collision, self._settings.load)
            else:
                inertia = np.array(values[4:13]).reshape(3, 3)
                if np.count_nonzero(inertia - np.diag(np.diagonal(inertia))):
                    return "the load's inertia must be diagonal (give it in its principal axes)"
                diagonal = tuple(np.diagonal(inertia).tolist())
                load = Load(mass_kg=values[0], center_m=tuple(values[1:4]), inertia_kg_m2=diagonal)
                settings = Settings(self._settings.collision, load)
        except ValidationError as error:
            return json.dumps(error.errors(include_url=False, include_input=False), default=str)
        if refusal := self._not_free():
            return refusal
        self._settings = settings
        assert self._link.identity is not None
        self._link.identity.write(self._identity_path, settings)
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
