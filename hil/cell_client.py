"""How tests, benches and the command talk to a running emulated cell: faults, objects, what its robots really do.

The truth of the emulated world comes from here; what a driver believes comes from its rings. Benches compare the two.
"""

import json
import socket
from collections.abc import Sequence
from typing import Any

from hil.fci.panel_socket import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, PanelError, socket_address
from runtime.clock import MonotonicClock
from runtime.ring import instance_dir
from runtime.ticker import sleep_ns

_POLL_NS = 5_000_000
ANSWER_TIMEOUT_S = 10.0


class CellClient:
    """One connection to the panel of a running cell.

    Args:
        instance: name under which the cell runs.
        wait_s: how long to wait for it to come up; 0 asks once.

    Raises:
        PanelError: no cell runs under this name, or it went away.
    """

    def __init__(self, instance: str, wait_s: float = 0.0) -> None:
        self._clock = MonotonicClock()
        self._instance = instance
        self._number = 0
        self._received = bytearray()
        end_ns = self._clock.now_ns() + int(wait_s * 1e9)
        while True:
            try:
                self._connection = self._connect()
                return
            except OSError as error:
                if self._clock.now_ns() >= end_ns:
                    raise PanelError(
                        f"no emulated cell answers under instance '{instance}' ({instance_dir(instance)}): "
                        "start it with 'sinew cell'"
                    ) from error
            sleep_ns(_POLL_NS)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            with socket_address(self._instance) as address:
                connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection

    def __enter__(self) -> "CellClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def ask(self, do: str, **fields: object) -> Any:
        """One request; returns its result. Raises PanelError with the cell's own sentence when it is refused."""
        self._number += 1
        line = json.dumps({"id": self._number, "do": do, **fields}).encode() + b"\n"
        if len(line) > MAX_REQUEST_BYTES:
            raise PanelError(f"request '{do}' of {len(line)} bytes: allowed are {MAX_REQUEST_BYTES}")
        try:
            self._connection.sendall(line)
            answer = json.loads(self._line())
        except OSError as error:
            raise PanelError(f"the cell of instance '{self._instance}' went away: {error}") from error
        if not answer["ok"]:
            raise PanelError(answer["error"])
        return answer["result"]

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            data = self._connection.recv(65536)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._received += data
            if len(self._received) > MAX_ANSWER_BYTES:
                raise PanelError(f"the cell of instance '{self._instance}' answers more than {MAX_ANSWER_BYTES} bytes")
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line

    def fault(self, name: str, *, arm: str | None = None, at_s: float | None = None, **arguments: float) -> str:
        """Raise a fault of an arm, or of the hand it carries, now or at robot time `at_s` [s]; returns it in words.

        `arm` may be left out where the cell has only one. `faults()` lists names and arguments.
        """
        return str(self.ask("fault", name=name, arm=arm, at_s=at_s, arguments=arguments))

    def faults(self) -> list[dict[str, Any]]:
        """Every fault there is: name, sentence, arguments."""
        return self.ask("faults")

    def clear(self, arm: str | None = None) -> None:
        """End lasting faults and forget those to come, of one arm and its hand or of all."""
        self.ask("clear", arm=arm)

    def status(self) -> dict[str, Any]:
        """Robot time [s], profile, and what each arm and hand is doing."""
        return self.ask("status")

    def objects(self) -> dict[str, dict[str, list[float]]]:
        """Pose of each object in the scene: `xyz_m` [m] and `quat_wxyz`, in the world frame."""
        return self.ask("objects")

    def place(self, name: str, xyz_m: Sequence[float], quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0)) -> None:
        """Put an object somewhere, at rest; world frame."""
        self.ask("place", name=name, xyz_m=list(xyz_m), quat_wxyz=list(quat_wxyz))

    def scatter(self, seed: int) -> None:
        """Put all objects at the poses of a seed."""
        self.ask("scatter", seed=seed)

    def robot_time_s(self) -> float:
        """The cell's time [s]: milliseconds of the world since its start."""
        return float(self.ask("time"))

    def wait_robot_time(self, robot_time_s: float, timeout_s: float) -> float:
        """Wait until the cell's time [s] has come; returns it. Raises PanelError when `timeout_s` of ours pass first."""
        end_ns = self._clock.now_ns() + int(timeout_s * 1e9)
        while True:
            now_s = self.robot_time_s()
            if now_s >= robot_time_s:
                return now_s
            if self._clock.now_ns() >= end_ns:
                raise PanelError(
                    f"robot time is {now_s:.3f} s after {timeout_s:g} s of waiting for {robot_time_s:.3f} s"
                )
            sleep_ns(_POLL_NS)
