"""Streaming: how far behind its targets the arm is and how smoothly it moves, per mode and target rate, in robot time."""

import math
from dataclasses import dataclass, replace

import numpy as np

from hil.driver_bench.commander import READY, Y, command_line
from hil.driver_bench.reference import Reference
from hil.driver_bench.tracking import Tracking, track
from hil.report import BenchRow
from hil.rig import Rig, RigError
from runtime.errors import SinewError
from runtime.ring import RingReader
from runtime.rows import ARM_COMMAND, ArmActivity, CommandMode, DriverState, RequestKind, RequestStatus

RATES_HZ = (20, 30, 50, 100, 200)
QUICK_RATES_HZ = (30,)
# Joint 1 at 0.5 Hz: as the peers' figures were measured (0.2 rad there; half of it keeps the tool below 0.25 m/s).
JOINT_SINE = Reference(amplitude=0.1, frequency_hz=0.5, seconds=6.0)
TOOL_SINE = Reference(amplitude=0.05, frequency_hz=0.5, seconds=6.0)
MOVING_JOINT = 0
MODES = (CommandMode.JOINT_VELOCITY, CommandMode.JOINT_IMPEDANCE, CommandMode.CARTESIAN_IMPEDANCE)
VELOCITY_LAG_MS = 15.0  # at VELOCITY_LAG_HZ targets: a published peer's set-point streaming lags by 30 to 400 ms
VELOCITY_LAG_HZ = 30
TRIES = 3
STARVED = "no acceptable command"  # the driver's watchdog speaks
VELOCITY_ROUGH = 1.5  # RMS acceleration over the reference's own


def start_commander(rig: Rig, arm_name: str, mode: CommandMode, rate_hz: float, reference: Reference) -> str:
    """Start a source for an arm at rest; it streams once the arm is enabled. Returns the process's name in the rig."""
    arm = rig.arms[arm_name]
    arm.wait_rest()
    generation = arm.generation + 1
    name = f"commander.{arm_name}.{generation}"
    options = command_line(mode, reference, rate_hz, MOVING_JOINT, generation)
    rig.spawn(name, "hil.driver_bench.commander", "--instance", rig.instance, "--arm", arm_name, *options)
    rig.wait(lambda: READY in rig.log(name), "the commander's ring is there")
    return name


@dataclass(frozen=True)
class Streamed:
    """One streamed motion: how it tracked, and what the driver had to say against it."""

    tracking: Tracking
    errors: int  # bits of the robot's error flags that were ever set
    rejected: int
    watchdog_stops: int
    targets: int  # command rows written
    largest_acceleration: float  # commanded, of any joint [rad/s2]
    positions: np.ndarray  # (n, 7) joint positions, for comparison between runs


def stream(rig: Rig, arm_name: str, mode: CommandMode, rate_hz: float, reference: Reference) -> Streamed:
    """Stream one motion with a commander process of its own and take it off the rings.

    Raises:
        RigError: the driver refused to be enabled, or a process died.
        RemoteError: the motion did not take place.
    """
    arm = rig.arms[arm_name]
    name = start_commander(rig, arm_name, mode, rate_hz, reference)
    targets = RingReader(rig.instance, f"arm.{arm_name}.command", ARM_COMMAND)
    before = arm.wait(lambda _: True, "a state row")
    arm.skip_history()
    if arm.enable(mode) is not RequestStatus.DONE:
        raise RigError(f"{arm.device}: ENABLE {mode.name} was not done: {arm.events()[-1:]}")
    history = []
    begin_ns = 0

    def over(row: np.void) -> bool:
        nonlocal begin_ns
        history.append(arm.history())  # the ring holds 16 s; the motion may take longer on a loaded machine
        if begin_ns == 0 and (first := next(targets.drain(), None)) is not None:
            begin_ns = int(first["trace"])
        broken = int(row["activity"]) != ArmActivity.STREAMING
        return broken or (begin_ns > 0 and int(row["robot_time_ns"]) >= begin_ns + int(reference.seconds * 1e9))

    after = arm.wait(over, f"{reference.seconds:g} s of streaming", timeout_s=120.0)
    status = arm.ask(RequestKind.DISABLE)
    history.append(arm.history())
    written = targets.head
    rig.forget(name)
    rows = np.concatenate(history)["row"]
    if int(after["activity"]) != ArmActivity.STREAMING or status is not RequestStatus.DONE:
        raise RigError(
            f"{arm.device}: {mode.name} at {rate_hz:g} Hz ended early: {[text for _, text in arm.events()[-3:]]}"
        )
    return Streamed(
        track_rows(rows, begin_ns, mode, reference),
        int(np.bitwise_or.reduce(rows["errors"])).bit_count(),
        int(after["rejected"] - before["rejected"]),
        int(after["watchdog_stops"] - before["watchdog_stops"]),
        written,
        _largest_acceleration(rows),
        rows["q"].copy(),
    )


def track_rows(rows: np.ndarray, begin_ns: int, mode: CommandMode, reference: Reference) -> Tracking:
    """Tracking of a stream that began at robot time `begin_ns` [ns], from the arm's state rows."""
    _, kept = np.unique(rows["robot_time_ns"], return_index=True)  # rows between robot states repeat the newest
    rows = rows[kept]
    times_s = (rows["robot_time_ns"] - begin_ns) * 1e-9
    start = int(np.searchsorted(times_s, 0.0))
    if mode is CommandMode.CARTESIAN_IMPEDANCE:
        values = rows["T_base_ee"][:, Y[0], Y[1]] - rows["T_base_ee_d"][max(start - 1, 0), Y[0], Y[1]]
        rates = np.gradient(values, times_s)
    else:
        values = rows["q"][:, MOVING_JOINT] - rows["q_d"][max(start - 1, 0), MOVING_JOINT]
        rates = rows["dq"][:, MOVING_JOINT]
    return track(times_s, values, rates, reference)


def _largest_acceleration(rows: np.ndarray) -> float:
    _, kept = np.unique(rows["robot_time_ns"], return_index=True)
    seconds = np.diff(rows["robot_time_ns"][kept]) * 1e-9
    return float((np.abs(np.diff(rows["dq_d"][kept], axis=0)) / seconds[:, None]).max())


def run(rig: Rig, *, quick: bool) -> list[BenchRow]:
    """Rows per mode and rate of the first arm."""
    arm_name = next(iter(rig.arms))
    rows = []
    for mode in MODES[:1] if quick else MODES:
        reference = TOOL_SINE if mode is CommandMode.CARTESIAN_IMPEDANCE else JOINT_SINE
        if quick:
            reference = replace(reference, seconds=4.4, ramp_s=0.6)
        for rate_hz in QUICK_RATES_HZ if quick else RATES_HZ:
            name = f"{mode.name.lower()}_{rate_hz}hz"
            rows += _measured(rig, arm_name, name, mode, rate_hz, reference)
    return rows


def _measured(
    rig: Rig, arm_name: str, name: str, mode: CommandMode, rate_hz: float, reference: Reference
) -> list[BenchRow]:
    """Rows of one stream. A stream that a busy machine starved is tried again: the driver was right to stop it."""
    for left in range(TRIES - 1, -1, -1):
        try:
            return _rows(name, mode, rate_hz, stream(rig, arm_name, mode, rate_hz, reference))
        except SinewError as error:
            trouble = str(error)
            rig.end_all("commander")
            rig.arms[arm_name].wait_state(DriverState.OK)
            if not left or STARVED not in trouble:
                break
    return [BenchRow(f"{name}_errors", math.nan, "", 0, "equal", note=trouble)]


def _rows(name: str, mode: CommandMode, rate_hz: float, found: Streamed) -> list[BenchRow]:
    velocity = mode is CommandMode.JOINT_VELOCITY
    limited = velocity and rate_hz == VELOCITY_LAG_HZ
    one = found.tracking
    note = f"{found.targets} targets, {one.samples} states, gain {one.gain:.3f}, residual {one.residual:.2g}"
    return [
        BenchRow(f"{name}_lag", one.lag_s * 1e3, "ms", VELOCITY_LAG_MS if limited else None, note=note),
        BenchRow(f"{name}_rough", one.rough, "x", VELOCITY_ROUGH if limited else None, note="RMS acceleration over the ideal"),
        BenchRow(f"{name}_errors", found.errors + found.rejected + found.watchdog_stops, "", 0, "equal",
                 note=f"robot errors {found.errors}, rows refused {found.rejected}, watchdog {found.watchdog_stops}"),
    ]  # fmt: skip
