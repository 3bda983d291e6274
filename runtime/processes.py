"""The flat table of processes: which run for a cell, in which order, and what their death means.

Plain data: the supervisor, the HIL rig and the tests start from the same rows. Modules are named, not imported, so that
the table can live below them all.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from runtime.cell import Cell


class Restart(IntEnum):
    """May the supervisor start a dead process again by itself?"""

    NEVER = 0
    AT_REST = 1  # once the arms are still; motion never resumes by itself
    ALWAYS = 2  # it commands nothing


@dataclass(frozen=True)
class Kind:
    """One row: a kind of process and the devices of a cell that need one each."""

    prefix: str
    module: str
    option: str | None  # the option that names the device
    devices: Callable[[Cell], list[str]]
    restart: Restart
    stage: int  # processes of a stage start together, once the stage before is ready
    ready_s: float  # how long the first row of `pulse` may take
    silent_ms: float  # newest row of `pulse` older than this: it hangs
    pulse: str  # the ring that tells that it lives; "": its heartbeat


@dataclass(frozen=True)
class ProcessSpec:
    """One process to run: its name (the device's, and its heartbeat ring's prefix), its command line and its row."""

    name: str
    command: tuple[str, ...]
    kind: Kind

    @property
    def pulse(self) -> str:
        """Name of the ring whose newest stamp tells that the process lives."""
        return self.kind.pulse or f"{self.name}.heartbeat"


def _cameras(*sources: str) -> Callable[[Cell], list[str]]:
    return lambda cell: [name for name, camera in cell.cameras.items() if camera.source in sources]


# In starting order; the end runs backwards, so that rt brings the arms to rest before their drivers go.
KINDS = (
    Kind(
        "cell", "hil.cell", None, lambda cell: [""] if cell.emulated else [], Restart.NEVER, 0, 30, 2000, "scene.state"
    ),
    Kind("arm", "drivers.franka.arm_process", "--arm", lambda cell: list(cell.arms), Restart.AT_REST, 1, 20, 500, ""),
    Kind(
        "hand", "drivers.franka.hand_process", "--hand", lambda cell: list(cell.hands), Restart.AT_REST, 1, 20, 1000, ""
    ),
    Kind(
        "camera", "drivers.realsense.process", "--camera", _cameras("live", "file"), Restart.ALWAYS, 1, 30, 20_000, ""
    ),  # a live camera blocks while it starts
    Kind(
        "camera", "hil.realsense.process", "--camera", _cameras("software"), Restart.ALWAYS, 1, 30, 20_000, ""
    ),  # a live camera blocks while it starts
)
RT = Kind("rt", "runtime.rt", None, lambda _cell: [""], Restart.AT_REST, 2, 20, 200, "")


def processes(cell: Cell, cell_file: str, instance: str, kinds: tuple[Kind, ...] = KINDS) -> list[ProcessSpec]:
    """The processes of a cell in starting order.

    `cell_file` is what the processes are told to load: a known cell's name or a path.
    """
    found = []
    for kind in kinds:
        for device in kind.devices(cell):
            name = f"{kind.prefix}.{device}" if device else kind.prefix
            # hil.cell takes its cell as the one positional argument, the others as an option beside their device.
            cell_argument = (cell_file,) if kind.prefix == "cell" else ("--cell", cell_file)
            command = (sys.executable, "-m", kind.module, *cell_argument, "--instance", instance)
            if kind.option:
                command += (kind.option, device)
            found.append(ProcessSpec(name, command, kind))
    return found
