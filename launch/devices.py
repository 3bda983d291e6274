"""The supervisor's view of the drivers: their states and events, and the requests that make them follow rt."""

from dataclasses import dataclass, field

from launch.enabling import Asked, DriverFacts, next_request
from launch.rt_line import Group
from runtime.cell import Cell
from runtime.ring import RingReader, RingWriter
from runtime.rows import (
    ARM_STATE,
    CAMERA_STATE,
    EVENT,
    HAND_STATE,
    REQUEST,
    ArmActivity,
    CameraPhase,
    CommandMode,
    DriverState,
    RequestKind,
    RequestStatus,
    Severity,
)

STATE_MAX_AGE_NS = 300_000_000
CAMERA_MAX_AGE_NS = 1_000_000_000
STILL_RAD_S = 0.005
REQUEST_SLOTS = 64
MODES = {
    "joint_velocity": CommandMode.JOINT_VELOCITY,
    "joint_impedance": CommandMode.JOINT_IMPEDANCE,
    "cartesian_impedance": CommandMode.CARTESIAN_IMPEDANCE,
}


@dataclass
class ArmLine:
    """One arm driver as the supervisor sees it."""

    name: str
    group: int
    mode: CommandMode
    state: RingReader
    requests: RingWriter
    asked: Asked = field(default_factory=Asked)
    facts: DriverFacts | None = None
    still: bool = False
    next_id: int = 1


class Devices:
    """All devices of a cell. Sole writer of the `arm.*.request` and `hand.*.request` rings."""

    def __init__(self, cell: Cell, instance: str, groups: list[str]) -> None:
        self.arms = [
            ArmLine(
                name,
                groups.index(arm.stop_group),
                MODES[arm.command_mode],
                RingReader(instance, f"arm.{name}.state", ARM_STATE),
                RingWriter(instance, f"arm.{name}.request", REQUEST, REQUEST_SLOTS),
            )
            for name, arm in cell.arms.items()
        ]
        self.hand_states = {name: RingReader(instance, f"hand.{name}.state", HAND_STATE) for name in cell.hands}
        self._hand_requests = {
            name: RingWriter(instance, f"hand.{name}.request", REQUEST, REQUEST_SLOTS) for name in cell.hands
        }
        self._hand_id = 0
        self._cameras = {name: RingReader(instance, f"camera.{name}.state", CAMERA_STATE) for name in cell.cameras}
        names = [f"arm.{name}" for name in cell.arms] + [f"hand.{name}" for name in cell.hands]
        names += [f"camera.{name}" for name in cell.cameras]
        self._events = {name: RingReader(instance, f"{name}.event", EVENT) for name in names}

    def poll(self, now_ns: int) -> None:
        """Read the newest state of every arm. A stale one is no state: not still, nothing to follow."""
        for arm in self.arms:
            row = arm.state.latest(now_ns, STATE_MAX_AGE_NS)
            if row is None:
                arm.facts, arm.still = None, False
                continue
            arm.facts = DriverFacts(
                DriverState(row["driver_state"]),
                ArmActivity(row["activity"]),
                int(row["enabled_generation"]),
                int(row["request_id"]),
                RequestStatus(row["request_status"]),
            )
            arm.still = bool(abs(row["dq"]).max() < STILL_RAD_S)

    def new_events(self) -> list[str]:
        """What the drivers said since the last call, as lines for the operator."""
        marks = {Severity.INFO: "", Severity.WARNING: "warning: ", Severity.ERROR: "ERROR: "}
        return [
            f"{name}: {marks[Severity(row['severity'])]}{row['text'].decode(errors='replace')}"
            for name, reader in self._events.items()
            for row in reader.drain()
        ]

    def follow(self, now_ns: int, groups: list[Group]) -> None:
        """Make the requests that rt's modes call for."""
        if not groups:
            return
        for arm in self.arms:
            if arm.facts is None:
                continue
            group = groups[arm.group]
            kind = next_request(now_ns, group.mode, group.generation, group.latched, arm.facts, arm.asked)
            if kind is not None:
                request_id = self._ask(arm, now_ns, kind, group.generation)
                arm.asked = Asked(kind, group.generation, request_id, now_ns)

    def _ask(self, arm: ArmLine, now_ns: int, kind: RequestKind, generation: int) -> int:
        row = arm.requests.row
        row["id"], row["generation"], row["kind"], row["mode"] = arm.next_id, generation, kind, arm.mode
        arm.requests.commit(now_ns)
        arm.next_id += 1
        return arm.next_id - 1

    def ask_hand(self, name: str, now_ns: int, kind: RequestKind, values: tuple[float, ...] = ()) -> int:
        """One request to a hand (`HAND_*`); returns its id, which the hand's state row answers."""
        self._hand_id += 1
        ring = self._hand_requests[name]
        row = ring.row
        row["id"], row["kind"] = self._hand_id, kind
        row["values"] = 0.0
        row["values"][: len(values)] = values
        ring.commit(now_ns)
        return self._hand_id

    def streams(self, camera: str, now_ns: int) -> bool:
        """The camera's driver says that it serves frames."""
        row = self._cameras[camera].latest(now_ns, CAMERA_MAX_AGE_NS)
        return row is not None and int(row["phase"]) == CameraPhase.STREAMING

    def still(self, now_ns: int) -> bool:
        """Every arm is seen, and seen to be still."""
        return all(arm.still for arm in self.arms)

    def disabled(self, now_ns: int) -> bool:
        """No driver follows command rows any more."""
        return all(arm.facts is None or arm.facts.enabled_generation == 0 for arm in self.arms)

    def close(self) -> None:
        for arm in self.arms:
            arm.requests.close()
        for ring in self._hand_requests.values():
            ring.close()
