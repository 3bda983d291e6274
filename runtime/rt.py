"""The rt process: `python -m runtime.rt --cell CELL --instance I [--allow-no-rt]`.

A shell around `runtime.loop.step.Rt`: real-time class, absolute grid, heartbeat, and a clean end. No threads, sockets,
logging or onnxruntime. It starts to turn, and to latch stops, before the robots are known.
"""

import argparse
import gc
import json
import os
import signal
import sys
from types import FrameType

from runtime.cell import Cell, load_cell
from runtime.child import orphaned
from runtime.clock import MonotonicClock, wall_ns
from runtime.errors import SinewError
from runtime.loop.kit import build_kit, read_identity
from runtime.loop.ports import RingPorts
from runtime.loop.shell import SPIN_NS, run_on_grid
from runtime.loop.step import Rt
from runtime.realtime import GcCounter, RealtimeRefusedError, RealtimeReport, enter_realtime, refusal
from runtime.ring import RingWriter, RowStatus, instance_dir, remove_dead_rings
from runtime.rows import HEARTBEAT

SESSION_FILE = "rt.session.json"
SESSION_SCHEMA = "sinew.rt-session/1"
IDENTITY_CHECK_NS = 250_000_000
SHUTDOWN_LIMIT_NS = 8_000_000_000  # then the drivers' watchdogs have long stopped the arms
HEARTBEAT_SLOTS = 64


class RtProcess:
    """Everything of the process that is not the step."""

    def __init__(self, cell: Cell, instance: str, report: RealtimeReport, *, allow_no_rt: bool) -> None:
        self.cell, self.instance = cell, instance
        self.clock = MonotonicClock()
        self.ports = RingPorts(instance, list(cell.arms))
        self.heartbeat = RingWriter(instance, "rt.heartbeat", HEARTBEAT, HEARTBEAT_SLOTS)
        self.heartbeat.row["pid"] = os.getpid()
        period_ns = 1_000_000_000 // cell.loop.rate_hz
        self.start_ns = self.clock.now_ns() // period_ns * period_ns + period_ns
        # Microseconds since boot: larger than what an earlier rt of this host can have counted up to.
        self.first_generation = self.start_ns // 1000
        self.rt = Rt(cell, self.ports, self.start_ns, self.first_generation)
        self.gc = GcCounter()
        self.spin_ns = SPIN_NS if report.named("fifo").granted else 0
        self.shutdown_ns = 0
        self._stop_requested = False
        self._look_ns = 0
        self._identities: dict[int, str] = {}
        self._write_session(report, allow_no_rt=allow_no_rt)

    def run(self) -> int:
        """Turn until asked to end and every arm is still; returns the exit status."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        try:
            run_on_grid(self._step, self.clock, self.start_ns, self.rt.period_ns, self._ended, spin_ns=self.spin_ns)
            return 1 if self.rt.commanding else 0
        finally:
            self.heartbeat.close()
            self.ports.close()
            if orphaned():  # the supervisor is gone: nobody else is left to sweep up
                remove_dead_rings(self.instance)

    def _step(self, now_ns: int, work_ns: int) -> None:
        if self._stop_requested and not self.shutdown_ns:
            self.shutdown_ns = now_ns
        rt = self.rt
        rt.step(now_ns, work_ns, self.gc.runs, shutdown=self.shutdown_ns > 0)
        row = self.heartbeat.row
        row["beats"] += 1
        row["phase"], row["work_ns"], row["late_ns"] = rt.groups[0].state.mode, work_ns, rt.timing.late_ns
        row["overruns"] = rt.timing.skipped
        self.heartbeat.commit(now_ns)
        if now_ns >= self._look_ns and not rt.commanding:
            self._look_ns = now_ns + IDENTITY_CHECK_NS
            self._look_for_robots()

    def _ended(self) -> bool:
        if not self.shutdown_ns:
            return False
        # A driver that has closed its ring has brought its arm to rest and let go of it: nobody follows us any more.
        alone = all(arm.status is RowStatus.ABSENT for arm in self.rt.arms)
        return alone or not self.rt.commanding or self.clock.now_ns() - self.shutdown_ns > SHUTDOWN_LIMIT_NS

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requested = True

    def _look_for_robots(self) -> None:
        """Between ticks, nobody armed: has a driver said what robot it holds?"""
        for index, name in enumerate(self.cell.arms):
            identity = read_identity(self.instance, name)
            if identity is None or identity.digest == self._identities.get(index):
                continue
            if index in self._identities:
                self.rt.robot_changed(index)
                continue
            self.rt.robot_known(index, build_kit(identity, self.cell, name, self.rt.period_ns))
            self._identities[index] = identity.digest
            gc.collect()  # what building left, outside of any armed tick
            gc.freeze()
            self.gc.runs = 0

    def _write_session(self, report: RealtimeReport, *, allow_no_rt: bool) -> None:
        """What a replay needs besides the rings, and what a recording must say about this process."""
        session = {
            "schema": SESSION_SCHEMA,
            "cell": json.loads(self.cell.model_dump_json(by_alias=True)),
            "start_ns": self.start_ns,
            "first_generation": self.first_generation,
            "pid": os.getpid(),
            "wall_ns": wall_ns(),
            "allow_no_rt": allow_no_rt,
            "realtime": report.as_dict(),
        }
        path = instance_dir(self.instance) / SESSION_FILE
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(session))
        temporary.replace(path)


def main(argv: list[str] | None = None) -> int:
    """Run the process; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m runtime.rt", description=__doc__)
    parser.add_argument("--cell", required=True, help="name or path of the cell file")
    parser.add_argument("--instance", required=True, help="name of the running cell")
    parser.add_argument(
        "--allow-no-rt", action="store_true", help="run a real cell without FIFO: recorded with the run"
    )
    arguments = parser.parse_args(argv)
    try:
        cell = load_cell(arguments.cell)
        report = enter_realtime(cell.loop.priority, cell.loop.cpu)
        reason = refusal(cell, report, allow_no_rt=arguments.allow_no_rt)
        if reason:
            raise RealtimeRefusedError(reason)
        process = RtProcess(cell, arguments.instance, report, allow_no_rt=arguments.allow_no_rt)
    except SinewError as error:
        print(f"rt: {error}", file=sys.stderr)
        return 1
    for line in report.lines():
        print(f"rt: {line}", flush=True)
    return process.run()


if __name__ == "__main__":
    sys.exit(main())
