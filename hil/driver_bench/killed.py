"""The source of commands is killed with SIGKILL while the arm moves: the arm comes to rest by itself, per mode."""

import math

import numpy as np

from hil.driver_bench.arm_faults import SWING, WrongAnswerError, expect
from hil.driver_bench.streaming import MODES, start_commander
from hil.report import BenchRow
from hil.rig import Rig
from runtime.errors import SinewError
from runtime.rows import ArmActivity, CommandMode, DriverState, RequestStatus

RATE_HZ = 50
AT_LEAST_RAD_S = 0.18  # the arm is at most of the swing's speed when the source dies
REST_RAD_S = 0.01
# What may pass after the watchdog's time: a planned stop is short from the bench's speed, a compliant arm swings out.
STOP_MS = {
    CommandMode.JOINT_VELOCITY: 200.0,
    CommandMode.JOINT_IMPEDANCE: 600.0,
    CommandMode.CARTESIAN_IMPEDANCE: 600.0,
}
TRIES = 5


def run(rig: Rig, *, quick: bool) -> list[BenchRow]:
    """Time and distance per mode, on the first arm. The rig's cell keeps the watchdog of its file."""
    rows = []
    name = next(iter(rig.arms))
    watchdog_ms = max(rig.cell.arms[name].watchdog_ms, 3e3 / RATE_HZ)
    for mode in MODES[:1] if quick else MODES:
        label = f"commander_killed_{mode.name.lower()}"
        limit_ms = watchdog_ms + STOP_MS[mode]
        try:
            time_ms, joint_rad, tool_m, speed = _kill(rig, name, mode)
            limit_rad = speed * limit_ms * 1e-3
            note = f"watchdog {watchdog_ms:g} ms, {speed:.2f} rad/s, tool moved {tool_m * 1e3:.1f} mm"
        except SinewError as error:
            time_ms = joint_rad = limit_rad = math.nan
            note = str(error)
        rows.append(BenchRow(f"{label}_time", time_ms, "ms", limit_ms, note=note))
        rows.append(BenchRow(f"{label}_distance", joint_rad, "rad", limit_rad, note="joint 1, from the kill to rest"))
    return rows


def _kill(rig: Rig, name: str, mode: CommandMode) -> tuple[float, float, float, float]:
    """Robot time to rest [ms], travel of joint 1 [rad] and of the tool [m] since the kill, and its speed [rad/s] then."""
    arm = rig.arms[name]
    # A tool swing in metres is less of joint 1 than a swing of the same number in radians.
    enough = AT_LEAST_RAD_S / 3 if mode is CommandMode.CARTESIAN_IMPEDANCE else AT_LEAST_RAD_S

    def under_way(row: np.void) -> bool:
        return abs(float(row["dq"][0])) > enough or int(row["activity"]) != ArmActivity.STREAMING

    for _ in range(TRIES):
        commander = start_commander(rig, name, mode, RATE_HZ, SWING)
        expect(arm.enable(mode) is RequestStatus.DONE, f"ENABLE {mode.name} was not done: {arm.events()[-1:]}")
        row = arm.wait(under_way, "the arm moves")
        if int(row["activity"]) != ArmActivity.STREAMING:
            rig.forget(commander)  # a busy machine starved the source before we could kill it
            continue
        arm.skip_history()
        killed_ns = rig.kill(commander)
        arm.wait_rest()
        seen = arm.history()
        rows, stamps = seen["row"], seen["stamp_ns"]
        at_kill = rows[max(int(np.searchsorted(stamps, killed_ns)) - 1, 0)]
        after = rows[stamps >= killed_ns]
        expect(bool((after["driver_state"] == DriverState.OK).all()), "the driver's state left OK")
        moving = np.abs(after["dq"]).max(axis=1) > REST_RAD_S
        last = int(np.nonzero(moving)[0][-1]) if moving.any() else 0
        end = after[min(last + 1, len(after) - 1)]
        time_ms = float(end["robot_time_ns"] - at_kill["robot_time_ns"]) * 1e-6
        travel = float(np.abs(after["q"][:, 0] - at_kill["q"][0]).max())
        tool = float(np.linalg.norm(after["T_base_ee"][:, :3, 3] - at_kill["T_base_ee"][:3, 3], axis=1).max())
        return time_ms, travel, tool, abs(float(at_kill["dq"][0]))
    raise WrongAnswerError(f"the machine starved the source {TRIES} times before it could be killed")
