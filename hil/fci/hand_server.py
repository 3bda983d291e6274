"""The emulated Franka Hand on TCP 1338: what `franka::Gripper` talks to. One step per robot millisecond, never blocking."""

import socket
import struct
from collections.abc import Callable

from hil.fci.hand_motion import HandMotion, HandPlant, MotionCommand, refusal
from hil.fci.hand_wire import (
    MAX_MESSAGE_BYTES,
    PORT,
    VERSION,
    Connect,
    HandCommand,
    HandWireError,
    Message,
    Outcome,
    Stop,
    answer,
    state,
    take_message,
)
from hil.fci.listen import listen

STATE_PERIOD_NS = 100_000_000  # a reading of the real hand takes about 0.1 s (franky issue 35)
PATIENCE_NS = 2_000_000_000  # for a stranger to finish a message it began, or to say CONNECT
TEMPERATURE_C = 25
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: the peer sees a reset, as when a cable is cut


class HandServer:
    """One hand, one client at a time.

    Args:
        host: loopback address of the arm that carries the hand.
        plant: the fingers in the physics.
        log: takes one sentence for people per thing worth telling.

    Raises:
        PortError: the address is not loopback or the port is taken (its holder is named).
    """

    def __init__(self, host: str, plant: HandPlant, log: Callable[[str], None]) -> None:
        self.host = host
        self.motion = HandMotion(plant)
        self._plant, self._log = plant, log
        self._listener: socket.socket | None = listen(host, PORT)
        self._client: socket.socket | None = None
        self._udp: socket.socket | None = None
        self._states_to: tuple[str, int] | None = None  # set by CONNECT
        self._received = bytearray()
        self._waiting_since_ns = 0
        self._answer_due: tuple[HandCommand, int] | None = None  # of the running command
        self._state_number = 0
        self._next_state_ns = 0
        self._silent_until_ns = -1
        self._away_until_ns = -1
        self._failures = 0

    @property
    def connected(self) -> bool:
        """A client has said CONNECT in our version and is being served."""
        return self._states_to is not None

    def step(self, robot_time_ns: int) -> None:
        """One millisecond, after the physics has moved the fingers.

        Args:
            robot_time_ns: the robot's own time [ns]; every period and fault here counts in it.
        """
        outcome = self.motion.step()
        if robot_time_ns < self._silent_until_ns:
            if outcome is not None:
                self._answer_due = None  # its answer is lost, as on a dead hand
            return
        if outcome is not None:
            self._finish(outcome)
        if self._listener is None:
            if robot_time_ns < self._away_until_ns:
                return
            self._listener = listen(self.host, PORT)
            self._log(f"hand {self.host}: listening again")
        self._accept(robot_time_ns)
        self._receive(robot_time_ns)
        if self._states_to is not None and robot_time_ns >= self._next_state_ns:
            self._next_state_ns = robot_time_ns + STATE_PERIOD_NS
            self._publish()

    def close(self) -> None:
        """Drop the client and the port."""
        self._drop(None)
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # Faults, raised by the panel.

    def silence(self, until_ns: int) -> None:
        """Answer nothing and send no state until this robot time [ns]; connections stay open, fingers go on."""
        self._silent_until_ns = until_ns

    def go_away(self, until_ns: int) -> None:
        """Reset the client's connection and refuse new ones until this robot time [ns]."""
        self._away_until_ns = until_ns
        if self._client is not None:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._drop("fault: connection reset")
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def fail_next(self, count: int) -> None:
        """Answer the next `count` homing, move or grasp commands with FAIL; the fingers do not move."""
        self._failures = count

    def restore(self) -> None:
        """End every fault of this hand."""
        self._silent_until_ns = self._away_until_ns = -1
        self._failures = 0

    def faults(self, robot_time_ns: int) -> list[str]:
        """Names of the faults in force now."""
        active = []
        if robot_time_ns < self._silent_until_ns:
            active.append("hand_silent")
        if robot_time_ns < self._away_until_ns:
            active.append("hand_dropped")
        if self._failures:
            active.append("hand_fails")
        return active

    # Sockets.

    def _accept(self, robot_time_ns: int) -> None:
        assert self._listener is not None
        try:
            client, peer = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if self._client is not None:
            client.close()
            self._log(f"hand {self.host}: second client {peer[0]}:{peer[1]} refused: the hand serves one at a time")
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._peer = client, peer
        self._received.clear()
        self._waiting_since_ns = robot_time_ns

    def _receive(self, robot_time_ns: int) -> None:
        if self._client is None:
            return
        try:
            data = self._client.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            self._give_up_waiting(robot_time_ns)
            return
        except OSError as error:
            self._drop(f"client lost: {error.strerror}")
            return
        if not data:
            self._drop("client left")
            return
        if self.connected and not self._received:
            self._waiting_since_ns = robot_time_ns  # counts from the first byte: a trickle of bytes is no excuse
        self._received += data  # whole messages leave it at once: never more than two messages long
        try:
            while self._client is not None and (message := take_message(self._received)) is not None:
                self._waiting_since_ns = robot_time_ns
                self._handle(message, robot_time_ns)
        except HandWireError as error:
            self._drop(f"malformed packet: {error}")
        self._give_up_waiting(robot_time_ns)

    def _give_up_waiting(self, robot_time_ns: int) -> None:
        unfinished = bool(self._received) or not self.connected
        if self._client is not None and unfinished and robot_time_ns - self._waiting_since_ns > PATIENCE_NS:
            what = f"a message cut off after {len(self._received)} bytes" if self._received else "no CONNECT"
            self._drop(f"{what} for {PATIENCE_NS // 1_000_000_000} s")

    def _handle(self, message: Message, robot_time_ns: int) -> None:
        command, command_id, request = message.command, message.command_id, message.request
        if isinstance(request, Connect):
            self._connect(command_id, request, robot_time_ns)
        elif not self.connected:
            raise HandWireError(f"{command.name} before CONNECT")
        elif isinstance(request, Stop):
            self._abort_running()
            self.motion.halt()
            self._reply(command, command_id, Outcome.SUCCESS)
        else:
            self._move(command, command_id, request)

    def _move(self, command: HandCommand, command_id: int, request: MotionCommand) -> None:
        reason = refusal(request, self._plant.max_width_m)
        if self._failures:
            self._failures -= 1
            reason = "fault: told to fail"
        if reason is not None:
            self._log(f"hand {self.host}: {command.name} refused: {reason}")
            self._reply(command, command_id, Outcome.FAIL)
            return
        self._abort_running()
        self._answer_due = (command, command_id)
        self.motion.start(request)

    def _connect(self, command_id: int, request: Connect, robot_time_ns: int) -> None:
        if self.connected:
            raise HandWireError("CONNECT on a connection that has said it already")
        if request.udp_port == 0:
            raise HandWireError("CONNECT with UDP port 0: states cannot be sent there")
        if request.version != VERSION:
            self._log(
                f"hand {self.host}: client with gripper version {request.version} refused: this hand has {VERSION}"
            )
            self._reply(HandCommand.CONNECT, command_id, Outcome.FAIL)
            return
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        udp.bind((self.host, 0))
        udp.setblocking(False)
        self._udp, self._states_to = udp, (self._peer[0], request.udp_port)
        self._next_state_ns = robot_time_ns
        self._log(f"hand {self.host}: client {self._peer[0]}:{self._peer[1]} connected")
        self._reply(HandCommand.CONNECT, command_id, Outcome.SUCCESS)

    def _abort_running(self) -> None:
        if self._answer_due is not None:
            self._finish(Outcome.ABORTED)

    def _finish(self, outcome: Outcome) -> None:
        if self._answer_due is not None:
            command, command_id = self._answer_due
            self._answer_due = None
            self._log(f"hand {self.host}: {command.name} {outcome.name.lower()} at {self._plant.width_m * 1000:.1f} mm")
            self._reply(command, command_id, outcome)

    def _reply(self, command: HandCommand, command_id: int, outcome: Outcome) -> None:
        if self._client is None:
            return
        try:
            self._client.sendall(answer(command, command_id, outcome))
        except OSError as error:  # also a full buffer: a client that does not read its answers is no client
            self._drop(f"cannot answer {command.name}: {error.strerror}")

    def _publish(self) -> None:
        assert self._udp is not None
        assert self._states_to is not None
        self._state_number += 1
        packet = state(
            self._state_number, self._plant.width_m, self.motion.max_width_m, self.motion.is_grasped, TEMPERATURE_C
        )
        try:
            self._udp.sendto(packet, self._states_to)
        except OSError:
            pass  # UDP may be lost; the TCP side says when the client is gone

    def _drop(self, reason: str | None) -> None:
        if reason is not None and self._client is not None:
            self._log(f"hand {self.host}: dropped client {self._peer[0]}:{self._peer[1]}: {reason}")
        for one in (self._client, self._udp):
            if one is not None:
                one.close()
        self._client = self._udp = self._states_to = None
        self._received.clear()
        self._answer_due = None
        self.motion.abandon()
