"""`sinew bench soak`: a whole emulated cell streams (arm, hand, every camera) and nothing may grow.

Ten minutes in full, seconds with --quick. Slopes are taken over the second part: in the first, rings fill and libraries
warm up.
"""

from pathlib import Path

import numpy as np

from hil.driver_bench.reference import Reference
from hil.driver_bench.streaming import start_commander
from hil.report import BenchRow
from hil.rig import Rig, own_addresses
from runtime.cell import load_cell
from runtime.ring import instance_dir
from runtime.rows import ArmActivity, CommandMode, RequestKind, RequestStatus
from runtime.ticker import sleep_ns

CELL = "emulated"
FULL_S, QUICK_S = 600.0, 24.0
SAMPLE_NS = 500_000_000
GROWTH_MB_H = 20.0  # of all processes together: 1 MB in three minutes would show
QUICK_GROWTH_MB_H = 400.0  # over 12 s: a page here or there is tens of MB/h, a leaked frame per second 3000
MODE, RATE_HZ = CommandMode.JOINT_VELOCITY, 100
_MB = 1e6


def run(*, quick: bool) -> list[BenchRow]:
    """Rows `rss_growth_mb_h`, `fd_growth`, `shm_growth`, and what was streamed meanwhile."""
    seconds = QUICK_S if quick else FULL_S
    cell = own_addresses(load_cell(CELL), watchdog_ms=500.0)
    with Rig(cell) as rig:
        arm, hand = next(iter(rig.arms.values())), next(iter(rig.hands.values()))
        swing = Reference(amplitude=0.05, frequency_hz=0.5, seconds=10 * seconds + 60.0)
        start_commander(rig, arm.name, MODE, RATE_HZ, swing)
        enabled = arm.enable(MODE)
        before = _served(rig)
        samples, restarts = [], 0
        begin_ns = rig.now_ns()
        width_m = 0.02
        while (elapsed_s := (rig.now_ns() - begin_ns) * 1e-9) < seconds:
            rig.check_alive()
            samples.append((elapsed_s, *_sample(rig)))
            row = arm.wait(lambda _: True, "a state row")
            if int(row["activity"]) == ArmActivity.IDLE and enabled is RequestStatus.DONE:
                restarts += 1  # a busy machine starved the source; the soak goes on without it being blamed on memory
                enabled = RequestStatus.NONE
            hand_row = hand.wait(lambda _: True, "a state row")
            if not hand_row["busy"]:
                width_m = 0.08 - width_m
                hand.send(RequestKind.HAND_MOVE, values=(width_m, 0.1))
            sleep_ns(SAMPLE_NS)
        after = _served(rig)
        still = sorted(instance_dir(rig.instance).iterdir())
    left = rig.left_over()
    return [*_growth(np.array(samples), quick), *_streamed(before, after, restarts), _leftover(left, len(still))]


def _sample(rig: Rig) -> tuple[float, float, float]:
    """Resident memory [B], open descriptors and bytes of shared memory of all processes of the cell."""
    resident = descriptors = 0
    for pid in rig.pids().values():
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) - int(
            Path(f"/proc/{pid}/statm").read_text().split()[2]
        )
        resident += pages * 4096  # private pages: shared ones are the rings, counted once below
        descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    shared = sum(path.stat().st_size for path in instance_dir(rig.instance).iterdir())
    return float(resident), float(descriptors), float(shared)


def _growth(samples: np.ndarray, quick: bool) -> list[BenchRow]:
    """Slopes over the second half of (n, 4): seconds, memory, descriptors, shared memory."""
    late = samples[len(samples) // 2 :]
    hours = late[:, 0] / 3600.0
    slope_mb_h = float(np.polyfit(hours, late[:, 1] / _MB, 1)[0])
    note = f"{late[-1, 1] / _MB:.0f} MB in all, over the last {late[-1, 0] - late[0, 0]:.0f} s"
    return [
        BenchRow("rss_growth_mb_h", slope_mb_h, "MB/h", QUICK_GROWTH_MB_H if quick else GROWTH_MB_H, note=note),
        BenchRow("fd_growth", _grown(late[:, 2]), "", 0, note=f"{late[-1, 2]:.0f} open at the end"),
        BenchRow("shm_growth", _grown(late[:, 3]), "B", 0, note=f"{late[-1, 3] / _MB:.0f} MB of rings"),
    ]


def _grown(values: np.ndarray) -> float:
    """Growth of the least in use: what comes and goes is no leak."""
    half = len(values) // 2
    return float(values[half:].min() - values[:half].min())


def _served(rig: Rig) -> dict[str, int]:
    """What every device has done so far."""
    counts = {
        f"{name} frames": int(camera.wait(lambda _: True, "a row")["frames"]) for name, camera in rig.cameras.items()
    }
    for name, arm in rig.arms.items():
        counts[f"{name} states"] = int(arm.wait(lambda _: True, "a row")["states_seen"])
    return counts


def _streamed(before: dict[str, int], after: dict[str, int], restarts: int) -> list[BenchRow]:
    """A soak in which nothing streamed proves nothing."""
    note = f"stream ended by a starved source {restarts} times" if restarts else ""
    return [
        BenchRow(
            name.replace(" ", "_"), after[name] - before[name], "", 10, "more", note=note if "states" in name else ""
        )
        for name in before
    ]


def _leftover(left: list[str], open_rings: int) -> BenchRow:
    note = f"{open_rings} while it ran, after the end: {left or 'none'}"
    return BenchRow("left_over", len(left), "files", 0, "equal", note=note)
