"""Several devices at once: two arms stream side by side, two cameras serve side by side."""

import math

import numpy as np

from hil.driver_bench.camera_faults import Watch
from hil.driver_bench.streaming import JOINT_SINE, start_commander, track_rows
from hil.report import BenchRow
from hil.rig import Rig
from runtime.errors import SinewError
from runtime.ring import RingReader
from runtime.rows import ARM_COMMAND, ArmActivity, CommandMode, DriverState, RequestKind, RequestStatus

RATE_HZ = 50
LAG_MS = 25.0
FRAMES = 60


def arms(rig: Rig) -> list[BenchRow]:
    """All arms of the rig follow a stream at the same time; then one has a reflex and the others go on."""
    mode, names, begins = CommandMode.JOINT_VELOCITY, list(rig.arms), {}
    history: dict[str, list[np.ndarray]] = {name: [] for name in names}
    commanders = {name: start_commander(rig, name, mode, RATE_HZ, JOINT_SINE) for name in names}
    targets = {name: RingReader(rig.instance, f"arm.{name}.command", ARM_COMMAND) for name in names}
    for name in names:
        rig.arms[name].skip_history()
        if rig.arms[name].enable(mode) is not RequestStatus.DONE:
            return [BenchRow("arms_at_once", math.nan, "", 0, note=f"{name}: {rig.arms[name].events()[-1:]}")]

    def over() -> bool:
        for name in names:
            history[name].append(rig.arms[name].history())
            if name not in begins and (first := next(targets[name].drain(), None)) is not None:
                begins[name] = int(first["trace"])
        newest = {name: history[name][-1]["row"] for name in names}
        return all(
            name in begins
            and len(newest[name])
            and newest[name]["robot_time_ns"][-1] >= begins[name] + JOINT_SINE.seconds * 1e9
            for name in names
        )

    rig.wait(over, "all arms have streamed", 120.0)
    rows = []
    for name in names:
        rig.arms[name].ask(RequestKind.DISABLE)
        seen = np.concatenate(history[name])["row"]
        found = track_rows(seen, begins[name], mode, JOINT_SINE)
        errors = int(np.bitwise_or.reduce(seen["errors"])).bit_count()
        rows.append(
            BenchRow(
                f"arms_at_once_{name}_lag", found.lag_s * 1e3, "ms", LAG_MS, note=f"{len(names)} arms, {RATE_HZ} Hz"
            )
        )
        rows.append(BenchRow(f"arms_at_once_{name}_errors", errors, "", 0, "equal"))
    for commander in commanders.values():
        rig.forget(commander)
    return rows + _one_reflex(rig, names)


def _one_reflex(rig: Rig, names: list[str]) -> list[BenchRow]:
    """A reflex of the first arm is not the others' business: their drivers are separate (stop groups are the loop's)."""
    first, others = names[0], names[1:]
    rig.panel.fault("joint_reflex", arm=first)
    rig.arms[first].wait_state(DriverState.REFLEX)
    troubled = sum(rig.arms[name].state is not DriverState.OK for name in others)
    rig.arms[first].wait(lambda row: int(row["activity"]) == ArmActivity.IDLE, "the arm is idle")
    rig.arms[first].ask(RequestKind.RECOVER)
    rig.arms[first].wait_state(DriverState.OK)
    return [BenchRow("arms_one_reflex_others_troubled", troubled, "arms", 0, "equal", note=f"reflex of '{first}'")]


def cameras(rig: Rig) -> list[BenchRow]:
    """All cameras serve: numbers and stamps only grow (checked frame by frame), and each serves its own picture."""
    watches = {name: Watch(rig, camera) for name, camera in rig.cameras.items()}
    try:
        for watch in watches.values():
            watch.settle()

        def all_served() -> bool:
            for watch in watches.values():
                watch.collect()
            return all(len(watch.numbers) >= FRAMES for watch in watches.values())

        rig.wait(all_served, f"{FRAMES} frames of each camera", 120.0)
    except SinewError as error:
        return [BenchRow("cameras_at_once", math.nan, "frames", FRAMES, "more", note=str(error))]
    rows, pictures = [], []
    for name, watch in watches.items():
        numbers = [number for _, number, _ in watch.numbers]
        share = len(numbers) / (numbers[-1] - numbers[0] + 1)
        late_ms = (rig.now_ns() - watch.numbers[-1][2]) * 1e-6
        rows.append(BenchRow(f"cameras_at_once_{name}_frames", len(numbers), "frames", FRAMES, "more",
                             note=f"{share:.0%} of the numbers seen, newest {late_ms:.0f} ms old"))  # fmt: skip
        picture = watch.camera.frames.latest(rig.now_ns())
        if picture is not None:
            pictures.append(picture["color"].copy())
    same = sum(np.array_equal(pictures[0], other) for other in pictures[1:]) if pictures else 1
    rows.append(BenchRow("cameras_same_picture", int(same), "", 0, "equal", note="each camera has its own view"))
    return rows
