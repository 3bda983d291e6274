"""A source of commands in a process of its own: `python -m hil.driver_bench.commander --instance I --arm NAME ...`.

Streams a `Reference` at a rate in robot time, from where the arm is when it is enabled; afterwards it repeats the last
target until it is ended. Each row's `trace` is the robot time [ns] that its target belongs to. It can be killed at any
moment: bringing the arm to rest is the driver's business.
"""

import argparse
import signal
import sys
from types import FrameType

import numpy as np

from hil.driver_bench.reference import Reference
from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.realtime import enter_realtime
from runtime.ring import RingReader, RingWriter
from runtime.rows import ARM_COMMAND, ARM_STATE, CommandMode
from runtime.ticker import sleep_ns

READY = "ready"  # printed once the command ring is there
SLOTS = 16384
POLL_NS = 300_000
PRIORITY = 20  # below rt and drivers
VALID_NS = 500_000_000
# The driver's watchdog counts our time: where a busy machine slows an emulated robot's, a source must not seem dead.
KEEP_NS = 40_000_000
Y = (1, 3)  # of a 4x4 pose: the tool moves along the base's y axis


class Commander:
    """Writes the rows of one motion; `step` does one turn.

    Args:
        mode: how the rows are to be followed; joint `joint` moves, or the tool along y in Cartesian modes.
        rate_hz: of the targets, in robot time.
    """

    def __init__(
        self,
        instance: str,
        arm: str,
        mode: CommandMode,
        reference: Reference,
        *,
        rate_hz: float,
        joint: int,
        generation: int,
    ) -> None:
        self._ring = RingWriter(instance, f"arm.{arm}.command", ARM_COMMAND, SLOTS)
        self._states = RingReader(instance, f"arm.{arm}.state", ARM_STATE)
        self._mode, self._reference, self._joint, self._generation = mode, reference, joint, generation
        self._period_ns = round(1e9 / rate_hz)
        self._start: np.void | None = None
        self._due_ns = self._written_ns = 0

    def step(self, now_ns: int) -> None:
        """Write a row if its robot time has come."""
        state = self._states.latest(now_ns)
        if state is None or int(state["enabled_generation"]) != self._generation:
            return
        robot_ns = int(state["robot_time_ns"])
        if self._start is None:
            self._start, self._due_ns = state.copy(), robot_ns
        if robot_ns < self._due_ns and now_ns - self._written_ns < max(KEEP_NS, 2 * self._period_ns):
            return
        # A late turn drops the targets it missed: a source never sends old ones in a burst.
        if robot_ns >= self._due_ns:
            self._due_ns += self._period_ns * (1 + (robot_ns - self._due_ns) // self._period_ns)
        self._write(self._start, robot_ns, now_ns)

    def _write(self, start: np.void, robot_ns: int, now_ns: int) -> None:
        t_s = (robot_ns - int(start["robot_time_ns"])) * 1e-9
        value, rate = self._reference.value(t_s), self._reference.rate(t_s)
        row = self._ring.row
        row["generation"], row["mode"], row["trace"] = self._generation, self._mode, robot_ns
        row["tick"] += 1
        row["q"], row["dq"], row["tau_ff"] = start["q_d"], 0.0, 0.0
        row["T_base_ee"] = start["T_base_ee_d"]
        if self._mode is CommandMode.CARTESIAN_IMPEDANCE:
            row["T_base_ee"][Y] += value
        else:
            row["q"][self._joint] += value
            row["dq"][self._joint] = rate
        row["period_ns"], row["valid_until_ns"] = self._period_ns, now_ns + VALID_NS
        self._ring.commit(now_ns)
        self._written_ns = now_ns

    def close(self) -> None:
        """Take the command ring away."""
        self._ring.close()


def command_line(mode: CommandMode, reference: Reference, rate_hz: float, joint: int, generation: int) -> list[str]:
    """The options that `main` turns back into a `Commander`."""
    return [
        *("--mode", mode.name.lower(), "--rate", str(rate_hz), "--joint", str(joint), "--generation", str(generation)),
        *("--amplitude", str(reference.amplitude), "--frequency", str(reference.frequency_hz)),
        *("--seconds", str(reference.seconds), "--ramp", str(reference.ramp_s)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="hil.driver_bench.commander", description=__doc__)
    parser.add_argument("--instance", required=True, help="name of the running cell")
    parser.add_argument("--arm", required=True, help="which arm")
    parser.add_argument("--mode", required=True, choices=[mode.name.lower() for mode in CommandMode if mode])
    parser.add_argument("--rate", type=float, required=True, help="targets per second of robot time")
    parser.add_argument("--joint", type=int, default=0, help="which joint moves (0 to 6)")
    parser.add_argument("--generation", type=int, required=True, help="of the ENABLE that it waits for")
    parser.add_argument("--amplitude", type=float, required=True, help="[rad], or [m] in Cartesian modes")
    parser.add_argument("--frequency", type=float, required=True, help="[Hz]")
    parser.add_argument("--seconds", type=float, required=True, help="length of the motion in robot time")
    parser.add_argument("--ramp", type=float, default=1.0, help="time to swell and to fade [s]")
    given = parser.parse_args()
    reference = Reference(given.amplitude, given.frequency, given.seconds, given.ramp)
    clock = MonotonicClock()
    try:
        commander = Commander(
            given.instance,
            given.arm,
            CommandMode[given.mode.upper()],
            reference,
            rate_hz=given.rate,
            joint=given.joint,
            generation=given.generation,
        )
    except SinewError as error:
        print(error, file=sys.stderr)
        return 1
    ending = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    signal.signal(signal.SIGTERM, end)
    # A source that a busy machine keeps waiting would be stopped by the driver's watchdog; where not permitted it waits.
    enter_realtime(PRIORITY, None)
    print(READY, flush=True)
    while not ending:
        commander.step(clock.now_ns())
        sleep_ns(POLL_NS)
    commander.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
