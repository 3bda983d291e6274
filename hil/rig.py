"""A cell with its driver processes, started and ended as one: for benches, tests and the demo.

An emulated cell gets its own loopback addresses and instance name, so that several rigs run side by side and beside a
cell that a person has running. A real cell is taken as it is; only the drivers are started.
"""

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import yaml

from hil.cell_client import CellClient
from hil.remote import Arm, Camera, Hand
from runtime.cell import Cell, load_cell
from runtime.child import Child
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.ring import instance_dir, remove_dead_rings
from runtime.rows import CameraPhase, DriverState
from runtime.ticker import sleep_ns

START_S = 90.0  # for all processes together; a loaded machine takes long to import
END_S = 15.0
_POLL_NS = 5_000_000


class RigError(SinewError):
    """A process did not come up or ended by itself; the text names it with its last words."""


def own_addresses(cell: Cell, **changes: object) -> Cell:
    """A copy of an emulated cell whose arms have loopback addresses that nobody else uses.

    Args:
        cell: an emulated cell; a real one is refused, its robots are where they are.
        changes: keys of every arm to set besides `host`, such as `watchdog_ms`.
    """
    if cell.emulated is None:
        raise RigError(f"cell '{cell.name}' is real: its arms cannot be given other addresses")
    data = cell.model_dump(by_alias=True, mode="json")
    for arm in data["arms"].values():
        first, second, third = (secrets.randbelow(200) + 20 for _ in range(3))
        arm.update(changes, host=f"127.{first}.{second}.{third}")
    return Cell.model_validate(data)


class Rig:
    """The processes of one cell. Use it in a `with` block: whatever happens inside, nothing is left running.

    Args:
        cell: what to start.
        arms, hands, cameras: which of its devices get a driver; None: all of them.
        profile: time profile of an emulated cell; None: the cell file's.
        allow_no_rt: let a real arm's driver start without real-time scheduling.

    Attributes:
        instance: the name under which the rings lie.
        arms, hands, cameras: a remote per device with a driver.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        arms: Collection[str] | None = None,
        hands: Collection[str] | None = None,
        cameras: Collection[str] | None = None,
        profile: str | None = None,
        allow_no_rt: bool = False,
    ) -> None:
        self.cell = cell
        self.instance = f"{cell.name}-{os.getpid()}-{secrets.token_hex(3)}"
        self._panel: CellClient | None = None
        self._names = {
            "arm": list(cell.arms) if arms is None else list(arms),
            "hand": list(cell.hands) if hands is None else list(hands),
            "camera": list(cell.cameras) if cameras is None else list(cameras),
        }
        self._profile, self._allow_no_rt = profile, allow_no_rt
        self._clock = MonotonicClock()
        self._directory = Path(tempfile.mkdtemp(prefix="sinew-rig-"))
        self.cell_file = self._directory / f"{cell.name}.yaml"
        self.cell_file.write_text(yaml.safe_dump(cell.model_dump(by_alias=True, mode="json"), sort_keys=False))
        self._children: dict[str, Child] = {}
        self.arms: dict[str, Arm] = {}
        self.hands: dict[str, Hand] = {}
        self.cameras: dict[str, Camera] = {}

    # Starting and ending

    def __enter__(self) -> "Rig":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the emulated cell (if it is one) and every driver, and wait until all of them are ready."""
        if self.cell.emulated is not None:
            self._start_cell()
        for kind, names in self._names.items():
            for name in names:
                self.start_driver(kind, name)
        self.arms = {name: Arm(self.instance, name, self.check_alive) for name in self._names["arm"]}
        self.hands = {name: Hand(self.instance, name, self.check_alive) for name in self._names["hand"]}
        self.cameras = {
            name: Camera(self.instance, name, self.cell.cameras[name], self.check_alive)
            for name in self._names["camera"]
        }
        self.wait_ready()

    def _start_cell(self) -> None:
        options = ["--instance", self.instance]
        if self._profile is not None:
            options += ["--profile", self._profile]
        if not self._names["camera"]:
            options.append("--no-render")
        self._spawn("cell", "hil.cell", str(self.cell_file), *options)

        def answers() -> bool:
            try:
                self._panel = CellClient(self.instance)
            except SinewError:
                return False
            return True

        self.wait(answers, "the emulated cell answers")

    def start_driver(self, kind: str, name: str) -> None:
        """Start (again) the driver process of one device: `kind` is arm, hand or camera."""
        module = {"arm": "drivers.franka.arm_process", "hand": "drivers.franka.hand_process"}.get(kind)
        if module is None:
            software = self.cell.cameras[name].source == "software"
            module = "hil.realsense.process" if software else "drivers.realsense.process"
        extra = ["--allow-no-rt"] if kind == "arm" and self._allow_no_rt else []
        where = ("--cell", str(self.cell_file), "--instance", self.instance)
        self._spawn(f"{kind}.{name}", module, *where, f"--{kind}", name, *extra)

    def spawn(self, name: str, module: str, *arguments: str) -> Child:
        """Start another program of ours with the rig; it ends with it at the latest."""
        return self._spawn(name, module, *arguments)

    def _spawn(self, name: str, module: str, *arguments: str) -> Child:
        log = self._directory / f"{name}.log"
        self._children[name] = child = Child(name, (sys.executable, "-m", module, *arguments), log)
        return child

    def child(self, name: str) -> Child:
        """A process by name: `cell`, `arm.main`, `camera.front`, or what was given to `spawn`."""
        return self._children[name]

    def log(self, name: str) -> str:
        """Everything that a process has printed."""
        return (self._directory / f"{name}.log").read_text(errors="replace")

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: child.pid for name, child in self._children.items()}

    def check_alive(self) -> None:
        """Raises RigError with its last words if a process ended that nobody ended."""
        for child in self._children.values():
            if not child.alive:
                raise RigError(child.how_it_ended())

    def forget(self, name: str) -> None:
        """End a process on purpose; it no longer counts as missing."""
        self._children.pop(name).end(END_S)

    def end_all(self, prefix: str) -> None:
        """End every process whose name begins so."""
        for name in [name for name in self._children if name.startswith(prefix)]:
            self.forget(name)

    def kill(self, name: str) -> int:
        """SIGKILL a process as a crash would; returns when it was sent [ns, monotonic]. It no longer counts as missing."""
        child = self._children.pop(name)
        now_ns = self._clock.now_ns()
        os.kill(child.pid, signal.SIGKILL)
        child.end()
        return now_ns

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
        """Wait for something. Raises RigError when a process dies meanwhile, or after `timeout_s` [s]."""
        end_ns = self._clock.now_ns() + int(timeout_s * 1e9)
        while not condition():
            self.check_alive()
            if self._clock.now_ns() > end_ns:
                last = "; ".join(f"{name}: {child.last_lines(1)}" for name, child in self._children.items())
                raise RigError(f"not within {timeout_s:g} s: {what}; last words: {last}")
            sleep_ns(_POLL_NS)

    def wait_ready(self) -> None:
        """Until every arm and hand is OK and every camera streams."""

        def missing() -> list[str]:
            robots: dict[str, Arm | Hand] = {
                **{f"arm {name}": arm for name, arm in self.arms.items()},
                **{f"hand {name}": hand for name, hand in self.hands.items()},
            }
            return [name for name, one in robots.items() if one.state is not DriverState.OK] + [
                f"camera {name}" for name, one in self.cameras.items() if one.phase is not CameraPhase.STREAMING
            ]

        self.wait(lambda: not missing(), f"every device is ready ({', '.join(self._children)})")

    def stop(self) -> None:
        """End drivers, then the cell, and remove what they left. Arms are brought to rest by their drivers first."""
        for remote in (*self.arms.values(), *self.hands.values(), *self.cameras.values()):
            remote.close()
        if self._panel is not None:
            self._panel.close()
            self._panel = None
        order = sorted(self._children, key=lambda name: name == "cell")
        for name in order:
            if name != "cell":
                self._children[name].ask_to_end()
        for name in order:
            self._children[name].end(END_S)
        self._children.clear()
        remove_dead_rings(self.instance)
        shutil.rmtree(self._directory, ignore_errors=True)

    def left_over(self) -> list[str]:
        """What is still in shared memory under this instance; after `stop` it must be nothing."""
        directory = instance_dir(self.instance)
        return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

    @property
    def panel(self) -> CellClient:
        """The emulated cell's fault panel. Raises RigError on a real cell."""
        if self._panel is None:
            raise RigError(f"cell '{self.cell.name}' has no fault panel: it is not emulated, or not started")
        return self._panel

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        return self._clock.now_ns()


def rig_of(cell_name: str, **options: object) -> Rig:
    """A rig for a cell by name or file: an emulated one at addresses of its own, a real one where it is."""
    cell = load_cell(cell_name)
    return Rig(own_addresses(cell) if cell.emulated is not None else cell, **options)  # type: ignore[arg-type]  # Rig's
