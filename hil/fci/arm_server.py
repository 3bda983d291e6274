"""The emulated arm's FCI server: what `franka::Robot` talks to at TCP 1337 and over UDP.

A thin shell around `Robot`: it reads requests and commands, lets the state stream out, and decides by its profile
whether the world may go on. It never blocks and never sleeps; `hil.fci.loop.WorldLoop` turns it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hil.fci.arm_plant import ArmPlant
from hil.fci.errors import ErrorFlag
from hil.fci.faults import Fault
from hil.fci.frames import ToolFrames
from hil.fci.link import Link
from hil.fci.motion import elbow_sign
from hil.fci.packet import StatePacket
from hil.fci.profile import Profile
from hil.fci.protocol import (
    COMMAND_BYTES,
    PORT,
    REPORTED_IDLE,
    ROBOT_COMMAND,
    VERSION,
    AnyStatus,
    ConnectRequest,
    ConnectStatus,
    Controller,
    Message,
    answer,
    take_message,
)
from hil.fci.requests import handle_request
from hil.fci.robot import Robot
from hil.fci.state_stream import StateStream
from runtime.clock import Clock

ANSWER_PATIENCE_NS = 2_000_000_000  # a client silent for longer is gone: libfranka itself gives up after 1 s
HANDSHAKE_PATIENCE_NS = 2_000_000_000  # for a stranger to say Connect: meanwhile it keeps others out
# How long lock-step waits for the first command after each state of a new motion: libfranka reads one or two states
# before it answers one, so the first wait is short; the later ones are long enough for a loaded machine.
OPENING_WAITS_NS = (5_000_000, 100_000_000, 200_000_000, 500_000_000)


@dataclass(frozen=True)
class Tool:
    """What the flange carries as set in Desk: nominal end-effector frame (4, 4), mass [kg], centre [m], inertia (3, 3)."""

    F_T_NE: np.ndarray
    mass_kg: float
    center_m: tuple[float, ...]
    inertia_kg_m2: np.ndarray


@dataclass
class ArmCounts:
    """What the server has seen since start."""

    ticks: int = 0
    commands: int = 0  # that acted
    late_commands: int = 0  # that answered an older state
    missed: int = 0
    most_missed_in_a_row: int = 0


class ArmServer:
    """One arm of a world, at a loopback address of its own.

    Args:
        name: the arm's name in the cell.
        host: loopback address; TCP port 1337 must be free there.
        plant: its physics.
        profile: how its time relates to the clock and to the client's answers.
        urdf: the robot model that clients download.
        tool: what Desk says is mounted.
        clock: for the patience with silent clients only; robot time counts milliseconds of the world.
        report: takes one sentence per thing worth telling.

    Raises:
        PortError: the address is not loopback, or the port is taken (its holder is named).
    """

    def __init__(
        self,
        name: str,
        host: str,
        plant: ArmPlant,
        profile: Profile,
        *,
        urdf: str,
        tool: Tool,
        clock: Clock,
        report: Callable[[str], None],
    ) -> None:
        self.name, self.host, self.plant, self.profile = name, host, plant, profile
        self.urdf = urdf.encode()
        self.frames = ToolFrames(tool.F_T_NE)
        self.robot = Robot(plant, self.frames)
        self.packet = StatePacket()
        self.counts = ArmCounts()
        self.on_command: Callable[[np.void], None] | None = None  # sees each command that acts
        self._clock, self._report = clock, report
        self._link: Link[Message] = Link(f"arm '{name}'", host, PORT, take_message, COMMAND_BYTES, report, clock)
        self._stream = StateStream(self._link.send_datagram)
        self._faults: deque[Fault] = deque()
        self._scheduled: list[Fault] = []
        self._due: list[tuple[int, bytes]] = []  # answers and the robot time at which they go out
        self._command: np.void | None = None  # the answer to the last state
        self._serving = False  # a client has said Connect and is not known to be gone
        self._state_sent = False
        self._published_ms = 0
        self._sent_ns = 0
        self._silent = False
        self._opening = 0  # states sent since the running motion began, before its first command
        self._tau_J = np.zeros(7)
        self._note_tool(tool)
        self._follow_frames()
        self._fill()

    # --- for the loop -------------------------------------------------------------------------------------------

    @property
    def descriptor(self) -> int:
        """Readable when there is something to poll: a waiting loop sleeps on it."""
        return self._link.descriptor

    def poll(self) -> None:
        """Read what has arrived and answer what can be answered at once."""
        link = self._link
        for message in link.poll():
            handle_request(self, message)
        if self._serving and not link.streaming:
            self._client_gone()
        elif link.connected and not link.streaming:
            self._drop_mute_stranger()
        for data in link.datagrams():
            self.accept_command(np.frombuffer(data, ROBOT_COMMAND)[0])

    def accept_command(self, command: np.void) -> None:
        """Keep the answer to the last state for the next millisecond; an answer to an older one comes too late."""
        if int(command["message_id"]) == self._published_ms:
            self._command = command
        else:
            self.counts.late_commands += 1

    def ready(self) -> bool:
        """Whether the world may go on: under STRICT always, else when the client's answer is there or none can come."""
        motion = self.robot.motion
        if self.profile is Profile.STRICT or motion is None or motion.ending is not None or motion.request.use_async:
            return True
        if self._command is not None or not self._state_sent or not self._link.streaming:
            return True
        waited_ns = self._clock.now_ns() - self._sent_ns
        if motion.started:
            self._silent = waited_ns > ANSWER_PATIENCE_NS
            return self._silent
        if self.profile is Profile.PACED:
            return True
        return waited_ns > OPENING_WAITS_NS[min(self._opening, len(OPENING_WAITS_NS)) - 1]

    @property
    def in_real_time(self) -> bool:
        """Whether the next millisecond must wait for the clock: not when lock-step has just got its answer."""
        return self.profile is not Profile.LOCKSTEP or self._command is None

    def before_step(self) -> None:
        """Faults that are due, then the robot's turn: torques for this millisecond go to the plant."""
        now_ms = self.robot.now_ms
        while self._faults:
            self._scheduled.append(self._faults.popleft())
        if self._scheduled:
            due = [one for one in self._scheduled if one.at_ms is None or one.at_ms <= now_ms]
            self._scheduled = [one for one in self._scheduled if one not in due]
            for fault in due:
                self._report(f"arm '{self.name}' at {now_ms / 1000:.3f} s: fault {fault}")
                fault.apply(self)
        command, self._command = self._command, None
        robot, counts = self.robot, self.counts
        motion = robot.motion
        runs = motion is not None and motion.ending is None
        robot.step(command, silent=self._silent)
        self._silent = False
        if motion is None or not runs:
            return
        if command is not None:
            counts.commands += 1
            if self.on_command is not None:
                self.on_command(command)
        elif motion.missed_in_a_row:
            counts.missed += 1
            counts.most_missed_in_a_row = max(counts.most_missed_in_a_row, motion.missed_in_a_row)

    def after_step(self) -> None:
        """Measure, publish the state, then send the answers that it stands for."""
        robot = self.robot
        robot.observe()
        self.counts.ticks += 1
        self._opening = self._opening + 1 if robot.motion is not None and not robot.motion.started else 0
        self._fill()
        self._state_sent = self._stream.publish(robot.now_ms, self.packet.bytes)
        self._published_ms = robot.now_ms
        self._sent_ns = self._clock.now_ns()
        for reply in robot.replies:
            message = answer(reply.command, reply.command_id, reply.status)
            self._due.append((robot.now_ms + reply.delay_ms, message))
        robot.replies.clear()
        if self._due:
            for _, message in (one for one in self._due if one[0] <= robot.now_ms):
                self._link.send(message)
            self._due = [one for one in self._due if one[0] > robot.now_ms]

    def close(self) -> None:
        """Drop the client and free the port."""
        self._link.close()

    # --- for the fault panel ------------------------------------------------------------------------------------

    def schedule(self, fault: Fault) -> None:
        """Let a fault strike at its robot time; may be called from any thread."""
        self._faults.append(fault)

    @property
    def robot_time_ms(self) -> int:
        """Id of the last state packet that was published."""
        return self._published_ms

    @property
    def client_connected(self) -> bool:
        return self._link.streaming

    @property
    def link(self) -> Link[Message]:
        """The connection and its counters."""
        return self._link

    # --- what a fault can do (`faults.Afflicted`) -----------------------------------------------------------------

    def reflex(self, flag: ErrorFlag) -> None:
        self.robot.reflex(flag)

    def latch_reflex(self, flag: ErrorFlag, clear_after_ms: int) -> None:
        self.robot.latch_reflex(flag, clear_after_ms)

    def press_user_stop(self) -> None:
        self.robot.press_user_stop()

    def release_user_stop(self) -> None:
        self.robot.release_user_stop()

    def set_brakes(self, locked: bool) -> None:
        self.robot.set_brakes(locked)

    def set_guiding(self, active: bool) -> None:
        self.robot.set_guiding(active)

    def lose_states(self, fraction: float, duration_ms: int, seed: int) -> None:
        self._stream.lose(fraction, self._after(duration_ms), seed)

    def delay_states(self, delay_ms: int, duration_ms: int) -> None:
        self._stream.delay(delay_ms, self._after(duration_ms))

    def silence(self, duration_ms: int) -> None:
        self._stream.silence(self._after(duration_ms))

    def drop_client(self) -> None:
        self._link.drop("dropped by a fault")
        if self._serving:
            self._client_gone()

    def push(self, link: int, force_n: np.ndarray, duration_ms: int) -> None:
        self.plant.push(link, force_n, duration_ms)

    def withhold_move_replies(self, count: int) -> None:
        self.robot.withhold_move_replies(count)

    def delay_move_replies(self, delay_ms: int, count: int) -> None:
        self.robot.delay_move_replies(delay_ms, count)

    def delay_recovery(self, delay_ms: int) -> None:
        self.robot.delay_recovery(delay_ms)

    def restore(self) -> None:
        self.robot.restore()
        self._stream.restore()

    # --- for `requests` -------------------------------------------------------------------------------------------

    def reply(self, message: Message, status: AnyStatus, tail: bytes = b"") -> None:
        """Answer a request now."""
        self._link.send(answer(message.command, message.command_id, status, tail))

    def connect(self, message: Message) -> None:
        """The first message of a client: agree on the version, then stream states to its UDP port."""
        request = ConnectRequest.parse(message.payload)
        version = VERSION.to_bytes(2, "little")
        if request.version != VERSION:
            self.reply(message, ConnectStatus.INCOMPATIBLE_VERSION, version)
            self._link.finish(f"speaks version {request.version}, this server {VERSION}: refused")
            return
        if self._link.streaming or request.udp_port == 0:
            self._link.drop(f"said Connect {'twice' if self._link.streaming else 'without a UDP port'}")
            return
        self.reply(message, ConnectStatus.SUCCESS, version)
        self._link.open_udp(request.udp_port)
        self._serving = True

    def drop(self, reason: str) -> None:
        """Drop a client that does what no client may."""
        self._link.drop(reason)

    def move_started(self) -> None:
        """A motion begins: no state of it is out yet."""
        self._opening = 0
        self._command = None
        self._state_sent = False

    # --- inside ---------------------------------------------------------------------------------------------------

    def _after(self, duration_ms: int) -> int:
        """Id of the first state packet after the next `duration_ms` ones."""
        return self.robot.now_ms + 1 + duration_ms

    def _client_gone(self) -> None:
        self._serving = False
        self.robot.client_lost()
        self._stream.forget()
        self._due.clear()
        self._command = None

    def _drop_mute_stranger(self) -> None:
        if self._clock.now_ns() - self._link.connected_ns > HANDSHAKE_PATIENCE_NS:
            self._link.drop("did not say Connect")

    def _note_tool(self, tool: Tool) -> None:
        packet = self.packet
        packet.m_ee[:] = tool.mass_kg
        packet.F_x_Cee[:] = tool.center_m
        packet.I_ee[:] = tool.inertia_kg_m2.ravel(order="F")
        packet.O_ddP_O[2] = -9.81  # franka/robot_state.h: constant

    def _follow_frames(self) -> None:
        """Show the tool frames and give the plant the stiffness frame."""
        packet, frames = self.packet, self.frames
        packet.F_T_EE[:], packet.EE_T_K[:] = frames.F_T_EE, frames.EE_T_K
        packet.F_T_NE[:], packet.NE_T_EE[:] = frames.F_T_NE, frames.NE_T_EE
        self.plant.T_flange_k = frames.F_T_K

    def frames_changed(self) -> None:
        """The client has set a frame: poses are of the new end effector from the next state on."""
        self._follow_frames()
        robot = self.robot
        robot.T_base_ee = self.plant.fk(self.plant.q, self.frames.F_T_EE)
        robot.reference.T = self.plant.fk(robot.reference.q, self.frames.F_T_EE)

    def _fill(self) -> None:
        """Write the robot's state into the packet."""
        packet, robot = self.packet, self.robot
        reference, collisions = robot.reference, robot.collisions
        q, dq = robot.q, robot.dq
        packet.head(robot.now_ms)
        packet.q[:] = packet.theta[:] = q
        packet.dq[:] = packet.dtheta[:] = dq
        packet.q_d[:], packet.dq_d[:], packet.ddq_d[:] = reference.q, reference.dq, reference.ddq
        tau_J = robot.tau + self.plant.gravity(q)
        packet.tau_J[:], packet.tau_J_d[:] = tau_J, robot.tau
        packet.dtau_J[:] = (tau_J - self._tau_J) * 1e3
        self._tau_J = tau_J
        T = robot.T_base_ee
        packet.O_T_EE[:] = T
        packet.O_T_EE_d[:] = packet.O_T_EE_c[:] = reference.T
        packet.O_dP_EE_d[:] = packet.O_dP_EE_c[:] = reference.twist
        packet.O_ddP_EE_c[:] = reference.acceleration
        packet.elbow[:] = q[2], elbow_sign(q[3])
        packet.elbow_d[:] = packet.elbow_c[:] = reference.elbow, elbow_sign(reference.q[3])
        packet.delbow_c[0], packet.ddelbow_c[0] = reference.elbow_velocity, reference.elbow_acceleration
        packet.tau_ext_hat_filtered[:] = collisions.tau_ext
        packet.O_F_ext_hat_K[:] = collisions.wrench
        R_K_O = (T[:3, :3] @ self.frames.EE_T_K[:3, :3]).T
        packet.K_F_ext_hat_K[:3] = R_K_O @ collisions.wrench[:3]
        packet.K_F_ext_hat_K[3:] = R_K_O @ collisions.wrench[3:]
        packet.joint_contact[:], packet.joint_collision[:] = collisions.joint_contact, collisions.joint_collision
        packet.cartesian_contact[:] = collisions.cartesian_contact
        packet.cartesian_collision[:] = collisions.cartesian_collision
        packet.flags(robot.errors, robot.last_errors)
        motion = robot.motion
        if motion is None:
            packet.modes(robot.mode, REPORTED_IDLE, Controller.OTHER, 0.0)
        else:
            packet.modes(robot.mode, motion.request.generator + 1, motion.controller, motion.success_rate)
