"""The arm driver's process: `python -m drivers.franka.arm_process --cell CELL --instance I --arm NAME`.

A real arm needs a PREEMPT_RT kernel and SCHED_FIFO: libfranka is told to enforce it and the process refuses to start
without, unless `--allow-no-rt` is given. An emulated cell runs on and says so.
"""

import argparse
import os
import sys

from drivers.device import DeviceShell
from drivers.franka.arm import ArmDriver
from runtime.cell import Arm, Cell, CellError, load_cell
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.realtime import RealtimeRefusedError, enter_realtime, refusal
from runtime.rows import Severity
from runtime.ticker import Grid, sleep_until_ns

PERIOD_NS = 1_000_000  # the robot's own


class ArmProcess:
    """Rings and schedule around an `ArmDriver`.

    Raises:
        RobotHeldError: another driver holds the robot.
        RingBusyError: another process writes this instance's rings.
        RealtimeRefusedError: a real cell, and the system does not permit real-time work.
    """

    def __init__(self, cell: Cell, instance: str, name: str, *, allow_no_rt: bool) -> None:
        if name not in cell.arms:
            raise CellError(f"cell '{cell.name}' has no arm '{name}': it has {sorted(cell.arms)}")
        self._clock = MonotonicClock()
        self._arm = cell.arms[name]
        self._cell, self._allow_no_rt = cell, allow_no_rt
        self._fifo = False
        self.shell = DeviceShell(instance, f"arm.{name}")
        try:
            self.driver = ArmDriver(
                name,
                cell,
                self.shell,
                self._clock,
                enforce_realtime=cell.emulated is None and not allow_no_rt,
                at_thread_start=lambda: _join_class(self._arm) if self._fifo else None,
            )
        except BaseException:
            self.shell.close()
            raise

    def run(self) -> SinewError | None:
        """Turn at 1 kHz until SIGTERM, Ctrl-C or a SHUTDOWN request, then bring the arm to rest and return.

        Returns why the robot cannot be used at all, or None after a clean end.
        """
        self.shell.handle_signals()
        clock, driver, shell = self._clock, self.driver, self.shell
        report = enter_realtime(self._arm.priority, self._arm.cpu)
        if why := refusal(self._cell, report, allow_no_rt=self._allow_no_rt):
            raise RealtimeRefusedError(why)
        self._fifo = report.named("fifo").granted
        for missing in report.missing:
            text = f"{missing.name} NOT granted: {missing.detail}: {missing.remedy}"
            shell.event(clock.now_ns(), Severity.WARNING, "realtime", text)
        grid = Grid(PERIOD_NS, clock.now_ns())
        while not driver.ended and driver.fatal is None:
            start_ns = clock.now_ns()
            if shell.stop_requested:
                driver.begin_shutdown(start_ns)
            driver.step(start_ns)
            done_ns = clock.now_ns()
            shell.beat(
                done_ns,
                work_ns=done_ns - start_ns,
                late_ns=max(0, start_ns - grid.next_ns),
                phase=int(driver.state),
                overruns=grid.skipped,
            )
            sleep_until_ns(grid.advance(done_ns))
        return driver.fatal

    def close(self) -> bool:
        """Let go of robot and rings; False if a thread is still inside the client library."""
        clean = self.driver.close()
        self.shell.close()
        return clean


def _join_class(arm: Arm) -> None:
    """Give a thread of this driver the loop's scheduling class: they take turns, and each waits for the other."""
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(arm.priority))


def main() -> int:
    parser = argparse.ArgumentParser(prog="drivers.franka.arm_process", description=__doc__)
    parser.add_argument("--cell", required=True, help="cell name or file")
    parser.add_argument("--instance", required=True, help="name of the running cell: its rings lie under it")
    parser.add_argument("--arm", required=True, help="which arm of the cell")
    parser.add_argument("--allow-no-rt", action="store_true", help="run a real arm without real-time permissions")
    arguments = parser.parse_args()
    try:
        cell = load_cell(arguments.cell)
        process = ArmProcess(cell, arguments.instance, arguments.arm, allow_no_rt=arguments.allow_no_rt)
    except SinewError as error:
        print(error, file=sys.stderr)
        return 1
    clean = False
    try:
        trouble = process.run()
    except SinewError as error:
        trouble = error
    finally:
        clean = process.close()
    if trouble is not None:
        print(trouble, file=sys.stderr, flush=True)
    status = 0 if trouble is None else 1
    if not clean:
        # A thread of the client library never came back; the interpreter's own end would wait for it, or abort.
        sys.stdout.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
