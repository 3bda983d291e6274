"""The emulated cell as a process: `python -m hil.cell CELL --instance I`; `sinew cell NAME` is the same.

One thread turns everything at 1 kHz: physics, arm and hand servers, fault panel, the ring `scene.state`. The renderer
is a child and ends with it. What it shows is emulated; drivers above it are the ones that run on the robot.
"""

import argparse
import gc
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from hil.cell_report import NS_PER_S, Console, LineWriter
from hil.cell_stations import CellStations
from hil.fci.loop import WorldLoop
from hil.fci.panel_socket import PanelSocket
from hil.fci.profile import Profile
from hil.robot_log import RobotLog
from hil.scenes.state import RING_NAME, SLOTS, fill_scene_state, scene_state_dtype
from runtime.cell import Cell, load_cell
from runtime.child import Child, orphaned
from runtime.clock import Clock, MonotonicClock
from runtime.errors import SinewError
from runtime.realtime import enter_realtime
from runtime.ring import RingWriter, instance_dir, remove_dead_rings

PRIORITY = 50  # below the drivers and rt: the emulator must not starve what it judges
ALONE_NS = 1_000_000_000  # without a client for so long, an emulated robot whose session died goes too
ORPHAN_LIMIT_NS = 20_000_000_000  # ... or after this long at the latest
STATE_PERIOD_NS = 5_000_000  # of `scene.state`: also while an arm holds the world back, so that cameras go on


class CellProcessError(SinewError):
    """The cell cannot be run as asked."""


def with_host(cell: Cell, host: str) -> Cell:
    """The same cell with its one arm at another address (checked where the arm's server listens).

    Raises:
        CellProcessError: the cell has several arms: which one is meant?
    """
    if len(cell.arms) != 1:
        raise CellProcessError(
            f"--host {host}: cell '{cell.name}' has {len(cell.arms)} arms: set their hosts in its file"
        )
    ((name, arm),) = cell.arms.items()
    return cell.model_copy(update={"arms": {name: arm.model_copy(update={"host": host})}})


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        pass  # others of this instance still have something there


class CellProcess:
    """A cell's stations with everything around them: ring, panel socket, renderer, report.

    Raises:
        SinewError: no emulated cell, the instance runs already, or a port is in use. Nothing is left open.
    """

    def __init__(
        self,
        cell: Cell,
        cell_file: str,
        instance: str,
        *,
        profile: Profile,
        seed: int | None,
        render: bool,
        clock: Clock,
        console: Console,
    ) -> None:
        self._clock, self._console = clock, console
        self._line = LineWriter()
        self._child_end_told = False
        with ExitStack() as opened:
            self.stations = CellStations(cell, profile, seed, clock, console.say)
            opened.callback(self.stations.close)
            self._world = self.stations.world
            opened.callback(_remove_if_empty, instance_dir(instance))
            self._state = RingWriter(instance, RING_NAME, scene_state_dtype(self._world.model), SLOTS)
            opened.callback(self._state.close)
            # From here on the instance is ours: the ring's lock says so.
            self._robot_logs = [RobotLog(instance, server) for server in self.stations.arms.values()]
            for log in self._robot_logs:
                opened.callback(log.close)
            self._panel = PanelSocket(instance, self.stations.answer, console.say)
            opened.callback(self._panel.close)
            self._loop = WorldLoop(self._world, list(self.stations.arms.values()), clock, self._each_tick)
            opened.callback(self._loop.close)
            self._renderer = None
            if render and any(camera.source == "software" for camera in cell.cameras.values()):
                # The child works elsewhere: a path must not depend on where we stand.
                path = Path(cell_file)
                found = str(path.resolve()) if path.suffix in (".yaml", ".yml") else cell_file
                command = (sys.executable, "-m", "hil.render", found, "--instance", instance)
                self._renderer = Child("hil.render", command)
                opened.callback(self._renderer.end)
            self._opened = opened.pop_all()
        self._state_written_ns = 0
        self._told_ns = clock.now_ns()
        self._leave_by_ns = self._alone_since_ns = 0

    def run(self) -> None:
        """Turn until `stop`."""
        if self.stations.profile is Profile.LOCKSTEP:
            gc.collect()
            gc.freeze()  # the model is thousands of objects that no collection needs to look at again
        else:
            # A robot is never late for its own clock: at a load of 7 on two cores, 1.00 of real time instead of 0.05 to
            # 0.9. Lock-step goes without: it can turn as fast as its client answers and would starve the machine.
            for missing in enter_realtime(PRIORITY, None).missing:
                self._console.say(f"under load this cell will be late: {missing.name}: {missing.detail}")
        self._write_state(self._clock.now_ns())
        self._loop.run(self._each_wait)
        # The log ends with what had happened by then: a client that left before we were told to end has left.
        for server in self.stations.arms.values():
            server.poll()
        for log in self._robot_logs:
            log.write(self._clock.now_ns())

    def stop(self) -> None:
        """End `run`; may be called from a signal handler."""
        self._loop.stop()

    def outlive_clients(self) -> None:
        """End `run` once no client has been connected for a second. May be called from a signal handler.

        For a session that died: a real robot would not vanish together with what commands it.
        """
        if not self._leave_by_ns:
            self._alone_since_ns = self._clock.now_ns()
            self._leave_by_ns = self._alone_since_ns + ORPHAN_LIMIT_NS

    def close(self) -> None:
        """End the renderer, drop every client, remove ring and socket."""
        self._opened.close()

    def _each_tick(self, robot_time_ns: int) -> None:
        self.stations.after_step(robot_time_ns)
        now_ns = self._clock.now_ns()
        for log in self._robot_logs:
            log.write(now_ns)
        self._each_wait()

    def _each_wait(self) -> None:
        self._panel.poll()
        now_ns = self._clock.now_ns()
        if now_ns - self._state_written_ns >= STATE_PERIOD_NS:
            self._write_state(now_ns)
        if now_ns - self._told_ns >= NS_PER_S:
            self._tell(now_ns)
        if self._leave_by_ns:
            self._leave_when_alone(now_ns)

    def _leave_when_alone(self, now_ns: int) -> None:
        if any(server.client_connected for server in self.stations.arms.values()):
            self._alone_since_ns = now_ns
        if now_ns - self._alone_since_ns >= ALONE_NS or now_ns >= self._leave_by_ns:
            self.stop()

    def _write_state(self, now_ns: int) -> None:
        fill_scene_state(self._state.row, self._world)
        self._state.commit(now_ns)
        self._state_written_ns = now_ns

    def _tell(self, now_ns: int) -> None:
        line = self._line.line(self.stations.status(), self.stations.objects(), (now_ns - self._told_ns) / NS_PER_S)
        self._told_ns = now_ns
        self._console.say(line)
        if self._renderer is not None and not self._renderer.alive and not self._child_end_told:
            self._child_end_told = True
            self._console.say(
                f"{self._renderer.how_it_ended()}: the cameras of this cell are blind until it is restarted"
            )


class _EndRequest:
    """SIGTERM and SIGINT, kept from the first moment on: asked for while the cell is being made, it ends once made.

    The SIGTERM that the kernel sends when our parent dies reaches drivers and rt at the same moment: they need the robot
    to stop it.
    """

    def __init__(self) -> None:
        self._asked = False
        self._process: CellProcess | None = None
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def tell(self, process: CellProcess) -> None:
        """From now on it is this process that is asked."""
        self._process = process
        if self._asked:
            self._end(process)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if self._process is not None:
            self._end(self._process)

    @staticmethod
    def _end(process: CellProcess) -> None:
        if orphaned():
            process.outlive_clients()
        else:
            process.stop()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `python -m hil.cell` and `sinew cell` share."""
    parser.add_argument("cell", metavar="CELL", help="name of an emulated cell, or path of its file")
    parser.add_argument(
        "--profile",
        choices=[one.value for one in Profile],
        help="lockstep waits for the client's answers and is immune to load; paced is real time that never fakes a "
        "miss; strict is the robot's own rule (default: the cell file's)",
    )
    parser.add_argument("--host", metavar="ADDRESS", help="loopback address of the cell's one arm, e.g. 127.0.0.2")
    parser.add_argument("--seed", type=int, help="of the objects' poses (default: the cell file's)")
    parser.add_argument("--instance", help="name under which it runs (default: the cell's name)")
    parser.add_argument("--no-render", action="store_true", help="start no renderer: the cameras stay blind")


def run(arguments: argparse.Namespace) -> int:
    """Run the cell in this process until SIGINT or SIGTERM; returns the exit status.

    Raises:
        SinewError: it cannot be run as asked; the text says why and what to do.
    """
    cell = load_cell(arguments.cell)
    if cell.emulated is None:
        raise CellProcessError(
            f"cell '{cell.name}' is a real cell (it has no key 'emulated'): its robots run by themselves; "
            "'sinew cell' is for emulated cells such as 'emulated'"
        )
    if arguments.host is not None:
        cell = with_host(cell, arguments.host)
    if arguments.seed is not None and arguments.seed < 0:
        raise CellProcessError(f"--seed {arguments.seed}: must not be negative")
    assert cell.emulated is not None
    console = Console()
    asked = _EndRequest()
    process = CellProcess(
        cell,
        arguments.cell,
        arguments.instance or cell.name,
        profile=Profile(arguments.profile or cell.emulated.profile),
        seed=arguments.seed,
        render=not arguments.no_render,
        clock=MonotonicClock(),
        console=console,
    )
    try:
        asked.tell(process)
        hosts = ", ".join(f"{name} at {arm.host}" for name, arm in cell.arms.items())
        console.say(
            f"emulated cell '{cell.name}' ({process.stations.profile.value}): {hosts}; end it with Ctrl-C; "
            f"faults: 'sinew fault --list'"
        )
        process.run()
    finally:
        process.close()
        if orphaned():
            remove_dead_rings(arguments.instance or cell.name)
    console.say("ended")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when it was told to end, 1 when it could not run."""
    parser = argparse.ArgumentParser(prog="python -m hil.cell", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except SinewError as error:
        print(f"cell: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
