"""The emulated Franka Hand on TCP 1338: what `franka::Gripper` talks to. One step per robot millisecond, never blocking."""

from collections.abc import Callable

from hil.fci.hand_motion import HandMotion, HandPlant, MotionCommand, beyond_the_hand, refusal
from hil.fci.hand_wire import (
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
from hil.fci.link import Link
from runtime.clock import Clock

STATE_PERIOD_NS = 100_000_000  # a reading of the real hand takes about 0.1 s (franky issue 35)
PATIENCE_NS = 2_000_000_000  # for a stranger to finish a message it began, or to say CONNECT
TEMPERATURE_C = 25
_NO_DATAGRAM = 0  # the client sends none: every one that comes is a stranger's


class HandServer:
    """One hand, one client at a time.

    Args:
        host: loopback address of the arm that carries the hand.
        plant: the fingers in the physics.
        clock: stamps connections; everything else here counts in robot time.
        log: takes one sentence for people per thing worth telling.

    Raises:
        PortError: the address is not loopback or the port is taken (its holder is named).
    """

    def __init__(self, host: str, plant: HandPlant, clock: Clock, log: Callable[[str], None]) -> None:
        self.host = host
        self.motion = HandMotion(plant)
        self._plant, self._clock, self._log = plant, clock, log
        self._link: Link[Message] | None = self._listen()
        self._unfinished_bytes = 0
        self._waiting_since_ns: int | None = None
        self._answer_due: tuple[HandCommand, int] | None = None  # of the running command
        self._state_number = 0
        self._next_state_ns = 0
        self._silent_until_ns = -1
        self._away_until_ns = -1
        self._failures = 0

    @property
    def connected(self) -> bool:
        """A client has said CONNECT in our version and is being served."""
        return self._link is not None and self._link.streaming

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
        if self._link is None:
            if robot_time_ns < self._away_until_ns:
                return
            self._link = self._listen()
            self._log(f"hand {self.host}: listening again")
        self._serve(self._link, robot_time_ns)
        if self._link.streaming and robot_time_ns >= self._next_state_ns:
            self._next_state_ns = robot_time_ns + STATE_PERIOD_NS
            self._state_number += 1
            self._link.send_datagram(
                state(
                    self._state_number,
                    self._plant.width_m,
                    self.motion.max_width_m,
                    self.motion.is_grasped,
                    TEMPERATURE_C,
                )
            )

    def close(self) -> None:
        """Drop the client and the port."""
        if self._link is not None:
            self._link.close()
            self._link = None

    # Faults, raised by the panel.

    def silence(self, until_ns: int) -> None:
        """Answer nothing and send no state until this robot time [ns]; connections stay open, fingers go on."""
        self._silent_until_ns = until_ns

    def go_away(self, until_ns: int) -> None:
        """Reset the client's connection and refuse new ones until this robot time [ns]."""
        self._away_until_ns = until_ns
        if self._link is not None:
            self._link.close()
            self._link = None
            self._forget_client()

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

    # The connection.

    def _listen(self) -> Link[Message]:
        return Link("hand", self.host, PORT, self._take, _NO_DATAGRAM, self._log, self._clock)

    def _take(self, received: bytearray) -> Message | None:
        message = take_message(received)
        self._unfinished_bytes = len(received)
        return message

    def _serve(self, link: Link[Message], robot_time_ns: int) -> None:
        connections = link.connections
        for message in link.poll():
            self._waiting_since_ns = None
            try:
                self._handle(link, message, robot_time_ns)
            except HandWireError as error:
                link.drop(f"broke the protocol: {error}")
        if not link.connected or link.connections != connections:
            self._forget_client()
        if not link.connected:
            return
        # A place is not kept by a stranger who never finishes a sentence; counted from its first byte.
        if link.streaming and not self._unfinished_bytes:
            self._waiting_since_ns = None
        elif self._waiting_since_ns is None:
            self._waiting_since_ns = robot_time_ns
        elif robot_time_ns - self._waiting_since_ns > PATIENCE_NS:
            what = f"a message cut off after {self._unfinished_bytes} bytes" if self._unfinished_bytes else "no CONNECT"
            link.drop(f"{what} for {PATIENCE_NS // 1_000_000_000} s")
            self._forget_client()

    def _forget_client(self) -> None:
        self._unfinished_bytes = 0
        self._waiting_since_ns = None
        self._answer_due = None
        self.motion.abandon()

    def _handle(self, link: Link[Message], message: Message, robot_time_ns: int) -> None:
        command, command_id, request = message.command, message.command_id, message.request
        if isinstance(request, Connect):
            self._connect(link, command_id, request, robot_time_ns)
        elif not link.streaming:
            raise HandWireError(f"{command.name} before CONNECT")
        elif isinstance(request, Stop):
            if self._answer_due is not None:
                self._finish(Outcome.ABORTED)
            self.motion.halt()
            link.send(answer(command, command_id, Outcome.SUCCESS))
        else:
            self._start(link, command, command_id, request)

    def _start(self, link: Link[Message], command: HandCommand, command_id: int, request: MotionCommand) -> None:
        reason = refusal(request, self._plant.max_width_m)
        if self._failures:
            self._failures -= 1
            reason = "fault: told to fail"
        if reason is not None:
            self._log(f"hand {self.host}: {command.name} refused: {reason}")
            link.send(answer(command, command_id, Outcome.FAIL))
            return
        if self._answer_due is not None:
            self._finish(Outcome.ABORTED)
        self._answer_due = (command, command_id)
        if (beyond := beyond_the_hand(request)) is not None:
            self._log(f"hand {self.host}: {command.name} with {beyond}")
        self.motion.start(request)

    def _connect(self, link: Link[Message], command_id: int, request: Connect, robot_time_ns: int) -> None:
        if link.streaming:
            raise HandWireError("CONNECT on a connection that has said it already")
        if request.udp_port == 0:
            raise HandWireError("CONNECT with UDP port 0: states cannot be sent there")
        if request.version != VERSION:
            link.send(answer(HandCommand.CONNECT, command_id, Outcome.FAIL))
            link.finish(f"speaks gripper version {request.version}: this hand has {VERSION}")
            return
        link.open_udp(request.udp_port)
        self._next_state_ns = robot_time_ns
        link.send(answer(HandCommand.CONNECT, command_id, Outcome.SUCCESS))

    def _finish(self, outcome: Outcome) -> None:
        if self._answer_due is not None and self._link is not None:
            command, command_id = self._answer_due
            self._answer_due = None
            self._log(f"hand {self.host}: {command.name} {outcome.name.lower()} at {self._plant.width_m * 1000:.1f} mm")
            self._link.send(answer(command, command_id, outcome))
