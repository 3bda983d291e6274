"""The hand driver's process: `python -m drivers.franka.hand_process --cell CELL --instance I --hand NAME`."""

import argparse
import sys

from drivers.device import DeviceShell
from drivers.franka.hand_driver import HAND_PORT, STOP_NS, HandDriver
from drivers.franka.robot_lock import RobotLock, resolve
from runtime.cell import CellError, load_cell
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.ring import RingWriter
from runtime.rows import HAND_STATE, RequestKind, Severity
from runtime.ticker import Grid, sleep_until_ns

PERIOD_NS = 20_000_000
STATE_SLOTS = 1024  # 20 s: the black box needs 10


class HandProcess:
    """Rings around a `HandDriver`; `step(now_ns)` is one turn of the process.

    Raises:
        RobotHeldError: another process drives this hand.
        RingBusyError: another process writes this instance's rings.
    """

    def __init__(self, cell_name: str, instance: str, hand: str) -> None:
        cell = load_cell(cell_name)
        if hand not in cell.hands:
            raise CellError(f"cell '{cell.name}' has no hand '{hand}': it has {sorted(cell.hands) or 'none'}")
        config = cell.hands[hand]
        host = cell.arms[config.arm].host
        self._lock = RobotLock(host, f"{resolve(host)}:{HAND_PORT}")
        self.shell = DeviceShell(instance, f"hand.{hand}")
        self._state = RingWriter(instance, f"hand.{hand}.state", HAND_STATE, STATE_SLOTS)
        clock = MonotonicClock()
        self._now_ns = clock.now_ns()

        def announce(severity: Severity, code: str, text: str) -> None:
            self.shell.event(self._now_ns, severity, code, text)
            print(text, flush=True)

        self.driver = HandDriver(hand, host, int(config.read_period_ms * 1e6), clock, announce)

    def step(self, now_ns: int) -> None:
        """Take requests, turn the driver, publish its state."""
        self._now_ns = now_ns
        for request in self.shell.requests():
            if int(request["kind"]) == RequestKind.SHUTDOWN:
                self.shell.stop_requested = True
            else:
                self.driver.ask(request, now_ns)
        self.driver.step(now_ns)
        self.driver.fill(self._state.row, now_ns)
        self._state.commit(now_ns)

    def run(self) -> None:
        """Turn until SIGTERM, Ctrl-C or a SHUTDOWN request, then stop the fingers and end."""
        self.shell.handle_signals()
        clock = MonotonicClock()
        grid = Grid(PERIOD_NS, clock.now_ns())
        end_ns: int | None = None
        while True:
            start_ns = clock.now_ns()
            self.step(start_ns)
            if self.shell.stop_requested and end_ns is None:
                end_ns = start_ns + STOP_NS
                self.driver.begin_close(start_ns)
            if end_ns is not None and (not self.driver.busy or start_ns >= end_ns):
                break
            done_ns = clock.now_ns()
            self.shell.beat(
                done_ns,
                work_ns=done_ns - start_ns,
                late_ns=max(0, start_ns - grid.next_ns),
                phase=int(self.driver.state),
            )
            sleep_until_ns(grid.advance(done_ns))

    def close(self) -> None:
        """Let go of hand and rings."""
        self.driver.close()
        self._state.close()
        self.shell.close()
        self._lock.release()


def main() -> int:
    parser = argparse.ArgumentParser(prog="drivers.franka.hand_process", description=__doc__)
    parser.add_argument("--cell", required=True, help="cell name or file")
    parser.add_argument("--instance", required=True, help="name of the running cell: its rings lie under it")
    parser.add_argument("--hand", required=True, help="which hand of the cell")
    arguments = parser.parse_args()
    try:
        process = HandProcess(arguments.cell, arguments.instance, arguments.hand)
    except SinewError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        process.run()
    finally:
        process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
