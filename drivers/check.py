"""Is a cell ready to run? One finding per thing looked at; each that is not right carries its remedy."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import franky
import numpy as np
import pyrealsense2 as rs

from drivers.find import find_arms
from drivers.franka.bounded import Caller, cut_connections
from drivers.franka.connection import Connected, Settings, connect
from drivers.franka.frames import pose_distance, pose_matrix, pose_text
from drivers.franka.hand_driver import HAND_PORT
from drivers.franka.robot_lock import ARM_PORT, RobotLock, resolve
from drivers.realsense.fitness import Refusal, find_device, information, unfit
from drivers.realsense.source import FileSource, LiveSource, Source
from runtime.cell import Arm, Camera, Cell
from runtime.clock import MonotonicClock, wall_ns
from runtime.errors import SinewError
from runtime.realtime import RealtimeReport
from runtime.rows import ARM_COMMAND, ARM_STATE, frame_dtype
from runtime.ticker import sleep_ns

T = TypeVar("T")
CONNECT_S = 15.0
FRAME_TOLERANCE_M, FRAME_TOLERANCE_RAD = 1e-3, 1e-2  # the arm driver's own
RING_SLOTS = 16384  # of a 1 kHz ring
SMALL_RINGS_BYTES = 8 << 20  # events, heartbeats, hands
_MODES = {
    franky.RobotMode.Idle: "",
    franky.RobotMode.Reflex: "clear the cause of the reflex, then recover ('sinew ack' in a session)",
    franky.RobotMode.UserStopped: "release the user stop",
    franky.RobotMode.Guiding: "let go of the guiding button",
    franky.RobotMode.Other: "open the brakes in Desk and activate FCI",
    franky.RobotMode.Move: "end the program that moves it",
    franky.RobotMode.AutomaticErrorRecovery: "wait until its recovery is over",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what, such as `arm main: server`.
        ok: whether it is as it must be.
        found: what was found.
        remedy: what to do, where it is not.
        required: False where the cell runs all the same.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    required: bool = True


def check(cell: Cell) -> Iterator[Finding]:
    """Look at everything a start needs, in order. Connects to the arms and hands as their drivers do; nothing moves."""
    yield _shared_memory(cell)
    yield from _realtime(cell)
    for name in cell.arms:
        yield from _arm(cell, name)
    for name in cell.hands:
        yield _hand(cell, name)
    for name, camera in cell.cameras.items():
        yield from _camera(name, camera)


def _shared_memory(cell: Cell) -> Finding:
    needed = SMALL_RINGS_BYTES + len(cell.arms) * 2 * RING_SLOTS * (ARM_STATE.itemsize + ARM_COMMAND.itemsize)
    for camera in cell.cameras.values():
        image = camera.image
        dtype = frame_dtype(image.width_px, image.height_px, depth=camera.depth != "off", infrared=camera.infrared)
        copies = 2 if camera.source == "software" else 1  # the renderer's ring feeds the emulated camera
        needed += copies * camera.slots * dtype.itemsize
    path = os.environ.get("SINEW_SHM", "/dev/shm")  # noqa: S108 the kernel's shared memory
    room = os.statvfs(path)
    free = room.f_bavail * room.f_frsize
    found = f"{free / 1e6:.0f} MB free at {path}, {needed / 1e6:.0f} MB needed"
    return Finding(
        "shared memory", free >= needed, found, f"enlarge it: mount -o remount,size=1G {path} (docker: --shm-size)"
    )


def _realtime(cell: Cell) -> Iterator[Finding]:
    """Asked in a process of its own: it would change this one."""
    code = (
        "import json, sys; from runtime.realtime import enter_realtime; "
        "print(json.dumps(enter_realtime(int(sys.argv[1]), None).as_dict()))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(cell.loop.priority)], capture_output=True, text=True, timeout=60, check=False
    )
    if child.returncode:
        yield Finding("real time", False, f"could not be asked: {child.stderr.strip()[-200:]}", "see the message")
        return
    for one in RealtimeReport.from_dict(json.loads(child.stdout)).permissions:
        required = one.required and cell.emulated is None
        yield Finding(f"real time: {one.name}", one.granted, one.detail, one.remedy, required)


# Arms


def _arm(cell: Cell, name: str) -> Iterator[Finding]:
    arm = cell.arms[name]
    title = f"arm {name}"
    reached = find_arms([arm.host])[0]
    remedy = (
        "start it: 'sinew cell'"
        if cell.emulated is not None
        else "check cable, power, 'host' in the cell file, FCI in Desk"
    )
    yield Finding(
        f"{title}: network",
        reached.arm,
        f"{arm.host}:{ARM_PORT} {'listens' if reached.arm else reached.why_not}",
        remedy,
    )
    if not reached.arm:
        return
    try:
        lock = RobotLock(arm.host, resolve(arm.host))
    except SinewError as error:
        yield Finding(f"{title}: free", False, str(error), "stop that session first ('sinew stop', then end it)")
        return
    try:
        yield from _connected_arm(title, arm)
    finally:
        lock.release()


def _connected_arm(title: str, arm: Arm) -> Iterator[Finding]:
    address, settings = resolve(arm.host), Settings(arm.collision, arm.load)
    try:
        made: Connected = _bounded(
            lambda: connect(arm.host, address, settings, enforce_realtime=False, wall_ns=wall_ns()), address, ARM_PORT
        )
    except SinewError as error:
        yield Finding(f"{title}: connection", False, str(error), "as the message says")
        return
    identity, state = made.identity, made.robot.state
    yield Finding(f"{title}: server", True, f"version {identity.server_version}, {identity.client}")
    distance, angle = pose_distance(pose_matrix(arm.T_flange_ee), identity.T_flange_ee)
    same = distance <= FRAME_TOLERANCE_M and angle <= FRAME_TOLERANCE_RAD
    found = f"robot {pose_text(identity.T_flange_ee)}, {1e3 * distance:.1f} mm and {angle:.3f} rad from the cell file's"
    remedy = (
        "correct T_flange_ee in the cell file, or the end effector in Desk: a wrong frame moves the tool by its error"
    )
    yield Finding(f"{title}: end-effector frame", same, found, remedy)
    low, high = np.array(identity.limits.lower_rad), np.array(identity.limits.upper_rad)
    outside = [joint + 1 for joint, q in enumerate(arm.home_q_rad) if not low[joint] < q < high[joint]]
    found = f"home is inside the robot's limits ({len(identity.urdf)} bytes of URDF)"
    if outside:
        found = f"home is outside at joint {outside}"
    yield Finding(f"{title}: limits", not outside, found, "correct home_q_rad in the cell file")
    found = made.settings_problem or "collision thresholds and load taken"
    yield Finding(
        f"{title}: settings", made.settings_problem is None, found, "bring the robot to idle, then check again"
    )
    mode = _MODES.get(state.robot_mode, "unknown mode")
    yield Finding(f"{title}: mode", not mode, str(state.robot_mode).rsplit(".", 1)[-1], mode)


def _bounded(function: Callable[[], T], address: str, port: int) -> T:
    """A blocking call of the client library with a bound: an overdue one has its connection cut."""
    clock = MonotonicClock()
    caller = Caller(clock, "check")
    call = caller.submit("connect", function, clock.now_ns() + int(CONNECT_S * 1e9))
    while not call.done:
        if call.overdue(clock.now_ns()):
            cut_connections(address, port)
            caller.abandon()
            raise SinewError(
                f"{address}:{port} accepted the connection and said nothing for {CONNECT_S:g} s: restart the robot"
            )
        sleep_ns(2_000_000)
    caller.close(1.0)
    if call.error is not None:
        raise call.error if isinstance(call.error, SinewError) else SinewError(str(call.error))
    result: T = call.result
    return result


def _hand(cell: Cell, name: str) -> Finding:
    host = cell.arms[cell.hands[name].arm].host
    title, remedy = (
        f"hand {name}",
        "check that it is mounted and switched on in Desk, and that no other program holds it",
    )
    try:
        address = resolve(host)
        lock = RobotLock(host, f"{address}:{HAND_PORT}")
    except SinewError as error:
        return Finding(title, False, str(error), "stop that session first")

    def look() -> str:
        gripper = franky.Gripper(address)
        state = gripper.state
        return (
            f"server version {gripper.server_version}, open {1e3 * state.width:.1f} of {1e3 * state.max_width:.1f} mm"
        )

    try:
        return Finding(title, True, _bounded(look, address, HAND_PORT))
    except SinewError as error:
        return Finding(title, False, str(error), remedy)
    finally:
        lock.release()


# Cameras


def _camera(name: str, camera: Camera) -> Iterator[Finding]:
    title = f"camera {name}"
    if camera.source == "software":
        yield Finding(title, True, "emulated: rendered by 'sinew cell', nothing to attach")
        return
    try:
        source: Source = LiveSource() if camera.source == "live" else FileSource(str(Path(str(camera.file))))
        device = find_device(source, name, camera)
    except (SinewError, RuntimeError) as error:
        yield Finding(title, False, str(error), "as the message says")
        return
    if isinstance(device, Refusal):
        yield Finding(title, False, device.text, "'sinew find' lists what is attached")
        return
    about = f"{information(device, rs.camera_info.name)}, USB {information(device, rs.camera_info.usb_type_descriptor) or '?'}"
    problem = unfit(device, name, camera)
    yield Finding(title, problem is None, problem.text if problem else f"{about}, offers what the cell file asks for",
                  "as the message says")  # fmt: skip
