"""A device of a running cell seen through its rings: what a driver says, and asking it for things.

The only writer of the device's request ring, so one remote per device and cell.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.device import REQUEST_SLOTS
from runtime.cell import Camera as CameraConfig
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.ring import RingReader, RingWriter
from runtime.rows import (
    ARM_STATE,
    CAMERA_STATE,
    EVENT,
    HAND_STATE,
    HEARTBEAT,
    REQUEST,
    ArmActivity,
    CameraPhase,
    CommandMode,
    DriverState,
    RequestKind,
    RequestStatus,
    RobotMode,
    frame_dtype,
)
from runtime.ticker import sleep_ns

WAIT_S = 60.0  # a safety net against hanging for ever, not a figure
_POLL_NS = 1_000_000
REST_RAD_S, REST_STATES = 0.005, 60


class RemoteError(SinewError):
    """A device did not do what was waited for; the text says what it said instead."""


class Remote:
    """Shared by all devices. `device` is `arm.main` and the like; `check` raises when a process of the cell has died."""

    def __init__(self, instance: str, device: str, dtype: np.dtype, check: Callable[[], None]) -> None:
        self.device = device
        self._check = check
        self._clock = MonotonicClock()
        self._requests = RingWriter(instance, f"{device}.request", REQUEST, REQUEST_SLOTS)
        self._rows = RingReader(instance, f"{device}.state", dtype)
        self._history = RingReader(instance, f"{device}.state", dtype)
        self._events = RingReader(instance, f"{device}.event", EVENT)
        self._beats = RingReader(instance, f"{device}.heartbeat", HEARTBEAT)
        self._last_id = 0

    def close(self) -> None:
        """Give the request ring back."""
        self._requests.close()

    def row(self) -> np.void | None:
        """The newest state row (overwritten by the next call), or None."""
        return self._rows.latest(self._clock.now_ns())

    @property
    def session(self) -> int:
        """Nonce of the driver process whose row `row` returned last: a restarted driver has another."""
        return self._rows.meta.session

    def age_ns(self) -> int:
        """Age of the row last returned by `row` [ns]."""
        return self._clock.now_ns() - self._rows.meta.stamp_ns

    def beats(self) -> int:
        """Turns of the driver's loop so far."""
        row = self._beats.latest(self._clock.now_ns())
        return 0 if row is None else int(row["beats"])

    def skip_history(self) -> None:
        """Let the next `history` begin now."""
        self._history.skip_to_head()

    def history(self) -> np.ndarray:
        """Every state row since the last call, with the ring's stamp [ns] as `stamp_ns`: a structured array."""
        rows = [(row.copy(), self._history.meta.stamp_ns) for row in self._history.drain()]
        dtype = np.dtype([("row", self._rows.dtype), ("stamp_ns", "<i8")])
        found = np.zeros(len(rows), dtype)
        for index, (row, stamp_ns) in enumerate(rows):
            found[index]["row"], found[index]["stamp_ns"] = row, stamp_ns
        return found

    def events(self) -> list[tuple[str, str]]:
        """(code, text) of every event since the last call."""
        return [(row["code"].decode(), row["text"].decode(errors="replace")) for row in self._events.drain()]

    def send(self, kind: RequestKind, **fields: Any) -> int:
        """Write a request; returns its id. Fields are those of `REQUEST`; short `values` are filled with zeros."""
        self._last_id += 1
        row = self._requests.row
        row["generation"], row["mode"], row["q"], row["speed_factor"], row["values"] = 0, 0, 0.0, 0.0, 0.0
        for name, value in fields.items():
            if name == "values":
                row["values"][: len(value)] = value
            else:
                row[name] = value
        row["id"], row["kind"] = self._last_id, kind
        self._requests.commit(self._clock.now_ns())
        return self._last_id

    def ask(self, kind: RequestKind, timeout_s: float = WAIT_S, **fields: Any) -> RequestStatus:
        """Send a request and wait until it is answered (not RUNNING any more)."""
        request_id = self.send(kind, **fields)

        def answered(row: np.void) -> bool:
            return int(row["request_id"]) == request_id and int(row["request_status"]) > RequestStatus.RUNNING

        row = self.wait(answered, f"request {kind.name} is answered", timeout_s)
        return RequestStatus(int(row["request_status"]))

    def wait(self, condition: Callable[[np.void], bool], what: str, timeout_s: float = WAIT_S) -> np.void:
        """The first row (a copy) that fulfils a condition.

        Raises:
            RemoteError: none did within `timeout_s` [s]; the device's last events are named.
        """
        end_ns = self._clock.now_ns() + int(timeout_s * 1e9)
        while True:
            row = self.row()
            if row is not None and condition(row):
                return row.copy()
            if self._clock.now_ns() > end_ns:
                said = "; ".join(text for _, text in self.events()[-3:]) or "nothing"
                raise RemoteError(f"{self.device}: not within {timeout_s:g} s: {what}; it said: {said}")
            self._check()
            sleep_ns(_POLL_NS)


class _Robot(Remote):
    @property
    def state(self) -> DriverState | None:
        """What the driver finds its device to be; None while it says nothing."""
        row = self.row()
        return None if row is None else DriverState(int(row["driver_state"]))

    def wait_state(self, state: DriverState, timeout_s: float = WAIT_S) -> np.void:
        """Wait until the driver says `state`."""
        return self.wait(lambda row: int(row["driver_state"]) == state, f"driver state {state.name}", timeout_s)


class Arm(_Robot):
    """An arm's driver."""

    def __init__(self, instance: str, name: str, check: Callable[[], None]) -> None:
        super().__init__(instance, f"arm.{name}", ARM_STATE, check)
        self.instance, self.name = instance, name
        self._generation = 0

    def wait_rest(self, timeout_s: float = WAIT_S) -> None:
        """Until the driver would take a new motion: OK, idle, and the robot has stood still for `REST_STATES` states."""
        since = 0

        def resting(row: np.void) -> bool:
            nonlocal since
            quiet = (
                int(row["driver_state"]) == DriverState.OK
                and int(row["activity"]) == ArmActivity.IDLE
                and int(row["robot_mode"]) == RobotMode.IDLE
                and float(np.abs(row["dq"]).max()) < REST_RAD_S
            )
            if not quiet:
                since = 0
            elif since == 0:
                since = int(row["states_seen"])
            return quiet and int(row["states_seen"]) >= since + REST_STATES

        self.wait(resting, "the arm is at rest", timeout_s)

    def enable(self, mode: CommandMode) -> RequestStatus:
        """Let command rows act, of a generation newer than any before (`generation`)."""
        self._generation += 1
        return self.ask(RequestKind.ENABLE, generation=self._generation, mode=mode)

    @property
    def generation(self) -> int:
        """The newest one that `enable` used."""
        return self._generation

    def goto(self, q: Any, speed_factor: float = 0.5, timeout_s: float = WAIT_S) -> RequestStatus:
        """A point-to-point motion to joint positions `q` (7,) [rad]."""
        return self.ask(RequestKind.GOTO, timeout_s, q=np.asarray(q, dtype=float), speed_factor=speed_factor)


class Hand(_Robot):
    """A hand's driver."""

    def __init__(self, instance: str, name: str, check: Callable[[], None]) -> None:
        super().__init__(instance, f"hand.{name}", HAND_STATE, check)


class Camera(Remote):
    """A camera's driver and its frames."""

    def __init__(self, instance: str, name: str, config: CameraConfig, check: Callable[[], None]) -> None:
        super().__init__(instance, f"camera.{name}", CAMERA_STATE, check)
        self.instance, self.name = instance, name
        image = config.image
        dtype = frame_dtype(image.width_px, image.height_px, depth=config.depth != "off", infrared=config.infrared)
        self.frames = RingReader(instance, f"camera.{name}.frame", dtype)

    @property
    def phase(self) -> CameraPhase | None:
        """The driver's state machine; None while it says nothing."""
        row = self.row()
        return None if row is None else CameraPhase(int(row["phase"]))

    def wait_phase(self, phase: CameraPhase, timeout_s: float = WAIT_S) -> np.void:
        """Wait until the driver is in a phase."""
        return self.wait(lambda row: int(row["phase"]) == phase, f"phase {phase.name}", timeout_s)
