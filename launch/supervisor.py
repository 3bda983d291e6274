"""Starts, watches and ends the processes of a cell, and carries operators' requests to rt and the drivers.

The supervisor commands no motion: rt does, through the gate. If it dies, rt trips on its missing heartbeat, every child
gets SIGTERM from the kernel, and each arm driver brings its arm to rest by itself. `step(now_ns)` is one turn; what takes
many turns (start, run, end) is a generator that is resumed once a turn and can be cancelled by a stop.
"""

import os
import sys
from collections.abc import Generator
from enum import Enum
from pathlib import Path

from launch import latch
from launch.children import Children, Managed, StartError
from launch.console import ConsoleServer, Request
from launch.devices import Devices
from launch.jog import JogLine, Velocities
from launch.missions import Mission, MissionRefusedError, Missions
from launch.rt_line import RtLine
from runtime.cell import Cell
from runtime.child import Child
from runtime.clock import wall_ns
from runtime.errors import SinewError
from runtime.modes.causes import CAUSES, Action, Cause, bit, causes_in, describe, mask_of
from runtime.modes.machine import DRIVING, Mode
from runtime.processes import KINDS, RT, ProcessSpec, Restart, processes
from runtime.ring import RingWriter, remove_dead_rings
from runtime.rows import HEARTBEAT, Severity
from runtime.rows_rt import RtRequestKind

END_STILL_NS = 5_000_000_000
TRIPS = mask_of([row for row in CAUSES.values() if row.action is Action.TRIP])


class Phase(Enum):
    """Where a session is."""

    STARTING = "starting"
    UP = "up"
    ENDING = "ending"
    ENDED = "ended"


class Supervisor:
    """One session of one cell.

    Args:
        cell, cell_file: the cell and what its processes are told to load.
        instance: name of the session's rings.
        log_dir: where each process's output and the black boxes go.
        allow_no_rt: let a real cell run without real-time permissions; recorded by rt.
        now_ns: time of the start.

    Raises:
        RingBusyError: a session of this instance name is running (its pid is named).
    """

    def __init__(
        self, cell: Cell, cell_file: str, instance: str, log_dir: Path, now_ns: int, *, allow_no_rt: bool = False
    ) -> None:
        self.cell, self.instance, self.log_dir = cell, instance, log_dir
        self.phase = Phase.STARTING
        self.exit_text = ""
        self.doing = ""  # what start or end waits for
        self.log: list[str] = []
        self.said = 0  # lines ever said
        left = remove_dead_rings(instance)
        self._heartbeat = RingWriter(instance, "supervisor.heartbeat", HEARTBEAT, 64)
        self._heartbeat.row["pid"] = os.getpid()
        self.groups = sorted({arm.stop_group for arm in cell.arms.values()})
        self.rt = RtLine(instance, self.groups)
        self.devices = Devices(cell, instance, self.groups)
        self.console = ConsoleServer(instance)
        self.jog_line = JogLine(self.rt, cell, self.groups)
        self.missions = Missions(self.rt, cell, cell_file, instance, self.groups, log_dir)
        specs = processes(cell, cell_file, instance, (*KINDS, RT))
        if allow_no_rt:
            needs = {"rt", "arm"}  # the processes that refuse a real cell without real-time permissions
            specs = [_with_option(one, "--allow-no-rt") if one.kind.prefix in needs else one for one in specs]
        self.children = Children(specs, instance, log_dir)
        self.mission: Mission | None = None
        self.mission_text = ""
        self.mission_failed = False
        self._work: Generator[str, None, None] = self._start()
        self._stop_asked: list[tuple[Request | None, int]] = []
        self._waiting: list[tuple[Request, Mission]] = []
        self.stop_latched = False
        self._blind: set[str] = set()
        self._box: Child | None = None
        self._box_was_driving = False
        self._told_cause = Cause.NONE
        if left:
            self.say(f"removed what a killed session left behind: {', '.join(left)}")
        self._kept = latch.load(instance)
        self._latch_sent = False
        if self._kept:
            self.say(f"latched fault of an earlier session: {self._kept.text}: 'sinew ack' when the arm may move again")
        self._beat(now_ns)

    # --- what people see -------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """A line for the operator; the newest 200 are kept."""
        self.log.append(text)
        self.said += 1
        del self.log[:-200]

    # --- one turn --------------------------------------------------------------------------------------------------

    def step(self, now_ns: int) -> None:
        """One turn: heartbeat, children, rt, requests, drivers, the running piece of work."""
        self._beat(now_ns)
        self.rt.poll(now_ns)
        self.devices.poll(now_ns)
        for text in self.devices.new_events():
            self.say(text)
        if self.phase is not Phase.ENDING:
            self._watch_children(now_ns)
        self._take_requests(now_ns)
        self.devices.follow(now_ns, self.rt.groups)
        self._keep_latch(now_ns)
        self._watch_cameras(now_ns)
        self._save_black_box()
        self._tell_cause()
        self._advance_mission(now_ns)
        self._answer_stops(now_ns)
        self._now_ns = now_ns
        try:
            self.doing = next(self._work)
        except StopIteration:
            self._work, self.doing = self._idle(), ""
            self.phase = Phase.ENDED if self.phase is Phase.ENDING else Phase.UP

    def _beat(self, now_ns: int) -> None:
        self._now_ns = self.children.now_ns = now_ns
        self._heartbeat.row["beats"] += 1
        self._heartbeat.commit(now_ns)

    @staticmethod
    def _idle() -> Generator[str, None, None]:
        while True:
            yield ""

    # --- start -----------------------------------------------------------------------------------------------------

    def _start(self) -> Generator[str, None, None]:
        try:
            yield from self.children.start()
        except StartError as error:
            self.fail(str(error))
            while True:
                yield "failed"
        while self.rt.row is None:
            yield "waiting for rt"
        while self.rt.row is None or (self.rt.row["active"] & bit(Cause.NO_LIMITS)).any():
            yield "waiting for a robot to connect: its limits are not known yet"
        self.say("the cell is up")

    # --- watching --------------------------------------------------------------------------------------------------

    def _watch_children(self, now_ns: int) -> None:
        for one, text in self.children.deaths(starting=self.phase is Phase.STARTING):
            self._died(one, now_ns, text)
        for one in self.children.to_restart():
            self._restart(one, now_ns)

    def _died(self, one: Managed, now_ns: int, text: str) -> None:
        self.say(text)
        camera = one.spec.kind.prefix == "camera"
        cause = Cause.CAMERA_DEAD if camera else Cause.PROCESS_DEAD
        device = one.spec.name.partition(".")[2]
        if camera and device not in self.missions.cameras_needed:
            return
        for group in self._groups_of(one):
            self.rt.ask(now_ns, RtRequestKind.STOP, group, cause=cause)
        if not camera and self._kept is None:
            self._keep(cause)  # at once: rt, or we, may be gone before it can say that it has tripped
        if one.spec.kind.restart is Restart.NEVER:
            self.fail(f"{text}: the session cannot go on without it")

    def _groups_of(self, one: Managed) -> list[int]:
        prefix, _, device = one.spec.name.partition(".")
        arm = device if prefix == "arm" else self.cell.hands[device].arm if prefix == "hand" else ""
        return [self.groups.index(self.cell.arms[arm].stop_group)] if arm else list(range(len(self.groups)))

    def _restart(self, one: Managed, now_ns: int) -> None:
        """Start a dead process again where its row allows it; motion never resumes by itself."""
        # A dead rt says nothing of its modes; the arm tells by itself that it is still.
        moving = any(group.mode in DRIVING for group in self.rt.groups)
        moving = moving or (one.spec.kind is RT and not self.devices.still(now_ns))
        if one.spec.kind.restart is Restart.AT_REST and moving:
            return
        self.say(self.children.restart(one))
        if one.spec.kind is RT:
            self._latch_sent = False  # the new one must learn of the kept fault

    # --- latch and black box -----------------------------------------------------------------------------------------

    def _keep_latch(self, now_ns: int) -> None:
        """A trip is on disk before anything else happens; only an acknowledgement that rt followed clears it."""
        if self.rt.row is None:
            return
        if self._kept is not None and not self._latch_sent:
            for group in range(len(self.groups)):
                self.rt.ask(now_ns, RtRequestKind.STOP, group, cause=Cause.LATCH_KEPT)
            self._latch_sent = True
            return
        tripped = [group for group in self.rt.groups if group.latched & TRIPS]
        if tripped and self._kept is None:
            self._keep(next(iter(causes_in(tripped[0].latched & TRIPS))))

    def _keep(self, cause: Cause) -> None:
        self._kept, self._latch_sent = latch.Latch(cause.name.lower(), describe(cause), wall_ns()), True
        latch.save(self.instance, self._kept)

    def _watch_cameras(self, now_ns: int) -> None:
        """A camera that the motion needs, and that serves no frames any more, stops it."""
        for camera in self.missions.cameras_needed:
            if self.devices.streams(camera, now_ns):
                self._blind.discard(camera)
            elif camera not in self._blind and any(group.mode in DRIVING for group in self.rt.groups):
                self._blind.add(camera)
                self.say(f"camera {camera} serves no frames, and this session needs it")
                for group in range(len(self.groups)):
                    self.rt.ask(now_ns, RtRequestKind.STOP, group, cause=Cause.CAMERA_DEAD)

    def _save_black_box(self) -> None:
        """On STOP and TRIP the last seconds of every ring go to disk, in a process of its own."""
        driving = any(group.mode in DRIVING for group in self.rt.groups)
        stopped = any(group.mode in (Mode.STOPPING, Mode.FAULT) for group in self.rt.groups)
        if stopped and self._box_was_driving:
            self.save_black_box("stop")
        if driving or stopped:
            self._box_was_driving = driving

    def save_black_box(self, reason: str) -> Path:
        """Save the last 10 s of every ring now; returns the folder it goes to."""
        target = self.log_dir / "blackbox" / f"{wall_ns() // 1_000_000}-{reason}"
        if self._box is None or not self._box.alive:
            command = (sys.executable, "-m", "runtime.blackbox", "--instance", self.instance, "--out", str(target))
            self._box = Child("blackbox", command, self.log_dir / "blackbox.log")
            self.say(f"saving the last 10 s of every ring to {target}")
        return target

    def _tell_cause(self) -> None:
        for group in self.rt.groups[:1]:
            if group.cause is not self._told_cause and self.phase is not Phase.STARTING:
                self._told_cause = group.cause
                if group.cause is not Cause.NONE:
                    row = CAUSES[group.cause]
                    mark = {Severity.INFO: "", Severity.WARNING: "warning: ", Severity.ERROR: "ERROR: "}[row.severity]
                    self.say(f"{mark}{describe(group.cause)}")
                    if group.cause in (Cause.GATE_STOP, Cause.GATE_TRIP):
                        self.say(f"the gate's reason: {group.gate}")

    # --- missions ----------------------------------------------------------------------------------------------------

    def begin(self, mission: Mission, what: str) -> None:
        """Make this what the session does now. Raises MissionRefusedError when another is under way or a stop is latched."""
        if self.phase is not Phase.UP:
            raise MissionRefusedError(f"'{what}' refused: the cell is {self.phase.value}: wait until it is up")
        if self.stop_latched:
            raise MissionRefusedError(f"'{what}' refused: a stop is latched: 'sinew ack' first")
        if self.mission is not None:
            raise MissionRefusedError(f"'{what}' refused: '{self.mission_text}' is under way: 'sinew stop' ends it")
        self.mission, self.mission_text, self.mission_failed = mission, what, False

    def _advance_mission(self, now_ns: int) -> None:
        if self.mission is None:
            return
        self.missions.now_ns = now_ns
        ok, text = True, ""
        try:
            next(self.mission)
            return
        except StopIteration as end:
            text = str(end.value or "done")
        except SinewError as refused:
            ok, text = False, str(refused)
        self.say(f"{self.mission_text}: {text}")
        self.mission_failed = not ok
        for request, mission in self._waiting:
            if mission is self.mission:
                self.console.answer(request, ok=ok, text=text)
        self._waiting = [(request, mission) for request, mission in self._waiting if mission is not self.mission]
        self.mission = None

    def _cancel_mission(self, why: str) -> None:
        if self.mission is None:
            return
        self.mission.close()
        for request, _ in self._waiting:
            self.console.answer(request, ok=False, text=f"'{self.mission_text}' was ended by {why}")
        self._waiting.clear()
        self.say(f"{self.mission_text}: ended by {why}")
        self.mission, self.mission_failed = None, True

    # --- operators ---------------------------------------------------------------------------------------------------

    def stop(self, now_ns: int, request: Request | None = None) -> None:
        """A latch from the first turn on. Answered only when the arms are seen to be still."""
        self.stop_latched = True
        if self._stop_asked:
            self._stop_asked.append((request, now_ns))
            return
        for group in range(len(self.groups)):
            self.rt.ask(now_ns, RtRequestKind.STOP, group, cause=Cause.OPERATOR_STOP)
        self._cancel_mission("a stop")
        self._stop_asked.append((request, now_ns))

    def _answer_stops(self, now_ns: int) -> None:
        if not self._stop_asked or not self.devices.still(now_ns):
            return
        if self.rt.groups and any(group.mode in (*DRIVING, Mode.STOPPING) for group in self.rt.groups):
            return
        for request, since_ns in self._stop_asked:
            text = f"stopped: every arm is still, {(now_ns - since_ns) / 1e6:.0f} ms after the request"
            if request:
                self.console.answer(request, ok=True, text=text)
        self.say("stopped: every arm is still; 'sinew ack' allows motion again")
        self._stop_asked.clear()

    def begin_ack(self) -> Mission:
        """Acknowledge: the only mission that a latched stop lets begin. Refused while the arms are not still."""
        if self._stop_asked:
            raise MissionRefusedError("'ack' refused: the stop has not ended yet: the arms are not still")
        self._cancel_mission("an acknowledgement")
        mission = self.missions.ack(self._acknowledged)
        latched, self.stop_latched = self.stop_latched, False
        try:
            self.begin(mission, "ack")
        finally:
            self.stop_latched = latched
        return mission

    def _acknowledged(self) -> None:
        self.stop_latched = False
        if self._kept is not None and not any(group.latched & TRIPS for group in self.rt.groups):
            latch.clear(self.instance)
            self._kept = None

    def jog(self, now_ns: int, arm: str, velocities: Velocities) -> None:
        """One word of a hand that jogs [rad/s], good for 100 ms. Raises MissionRefusedError where it cannot act."""
        if self.stop_latched:
            raise MissionRefusedError("'jog' refused: a stop is latched: 'sinew ack' first")
        if self.mission is not None:
            raise MissionRefusedError(f"'jog' refused: '{self.mission_text}' is under way: 'sinew stop' ends it")
        if refusal := self.jog_line.refusal(arm, velocities):
            raise MissionRefusedError(f"'jog' refused: {refusal}")
        self.jog_line.move(now_ns, arm, velocities)

    def _take_requests(self, now_ns: int) -> None:
        for request in self.console.poll():
            try:
                self._take(request, now_ns)
            except MissionRefusedError as refused:
                self.console.answer(request, ok=False, text=str(refused))

    def _take(self, request: Request, now_ns: int) -> None:
        verb = request.verb
        if verb == "stop":
            self.stop(now_ns, request)
        elif verb == "status":
            self.console.answer(request, ok=True, text=self.phase.value, log=self.log[-20:], mission=self.mission_text)
        elif verb == "save":
            self.console.answer(request, ok=True, text=str(self.save_black_box("key")))
        elif verb == "end":
            self.console.answer(request, ok=True, text="ending")
            self.end("ended from another terminal")
        elif verb == "jog":
            arm = str(request.arguments.get("arm", self.jog_line.arms[0]))
            self.jog(now_ns, arm, request.arguments.get("velocities", ()))
            self.console.answer(request, ok=True, text="")
        elif verb in ("ack", "home", "hold", "run", "speed"):
            if verb == "ack":
                mission = self.begin_ack()
            else:
                mission = self.missions.of(verb, request.arguments)
                self.begin(mission, verb)
            self._waiting.append((request, mission))
        else:
            known = "stop, ack, home, hold, run, jog, speed, status, save, end"
            self.console.answer(request, ok=False, text=f"no request '{verb}': known are {known}")

    # --- end ---------------------------------------------------------------------------------------------------------

    def fail(self, text: str) -> None:
        """End the session because of something that went wrong."""
        self.exit_text = self.exit_text or text
        self.say(text)
        self.end("a failure")

    def end(self, why: str) -> None:
        """Bring the arms to rest, disarm, and end all processes in reverse order. Asking again changes nothing."""
        if self.phase in (Phase.ENDING, Phase.ENDED):
            return
        self._cancel_mission(why)
        self.phase = Phase.ENDING
        self._work = self._end()

    def _end(self) -> Generator[str, None, None]:
        deadline_ns = self._now_ns + END_STILL_NS
        if any(group.mode in (*DRIVING, Mode.STOPPING) for group in self.rt.groups):
            for index in range(len(self.groups)):
                self.rt.ask(self._now_ns, RtRequestKind.STOP, index, cause=Cause.OPERATOR_STOP)
            yield "stopping"
        while self.rt.groups and self._now_ns < deadline_ns and not self.devices.still(self._now_ns):
            yield "waiting for the arms to be still"
        for index, group in enumerate(self.rt.groups):
            if group.mode in (Mode.ARMED, Mode.HOLD):
                self.rt.ask(self._now_ns, RtRequestKind.DISARM, index)
        deadline_ns = self._now_ns + 1_000_000_000
        while self.rt.groups and self._now_ns < deadline_ns and not self.devices.disabled(self._now_ns):
            yield "disarming"
        # The rings go with their writers: what is being saved must be on disk first.
        while self._box is not None and self._box.alive:
            yield "saving the black box"
        for text in (yield from self.children.end()):
            self.say(text)
        for request, _ in self._stop_asked:
            if request:
                self.console.answer(request, ok=True, text="stopped: the session has ended, no process holds an arm")

    def close(self) -> None:
        """Let go of rings and sockets; after `ENDED`."""
        self.children.close()
        self.console.close()
        self.rt.close()
        self.devices.close()
        self._heartbeat.close()
        remove_dead_rings(self.instance)


def _with_option(spec: ProcessSpec, option: str) -> ProcessSpec:
    return ProcessSpec(spec.name, (*spec.command, option), spec.kind)
