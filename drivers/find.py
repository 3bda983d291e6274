"""What is attached to this host and reachable from it: RealSense cameras and Franka arms."""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyrealsense2 as rs

from drivers.franka.hand_driver import HAND_PORT
from drivers.franka.robot_lock import ARM_PORT
from drivers.realsense.fitness import information

# Where a Franka control box is found as delivered: its shop-floor network's usual address in the FCI documentation, and
# that of its own port.
USUAL_HOSTS = ("172.16.0.2", "192.168.0.1")
CONNECT_S = 0.5
NOBODYS_PORT = 9  # 'discard': no control box serves it


@dataclass(frozen=True)
class FoundCamera:
    """A camera as it describes itself; '' where it does not say."""

    serial: str
    name: str
    usb: str
    firmware: str

    @property
    def trouble(self) -> str:
        """What keeps it from being used as it is attached, or ''."""
        if self.usb and not self.usb.startswith("3"):
            return f"connected as USB {self.usb}: use a USB 3 cable and port"
        return ""


@dataclass(frozen=True)
class FoundArm:
    """Whether something listens where a Franka arm and its hand would.

    Only TCP was asked, and let go at once: no CONNECT was sent, so a robot that works for somebody is not disturbed. Its
    server version and frames are read by `sinew check`, which connects as the driver does.
    """

    host: str
    arm: bool
    hand: bool
    why_not: str = ""


def find_cameras(devices: Iterable[rs.device]) -> list[FoundCamera]:
    """RealSense devices (of `rs.context().query_devices()`) by serial number. Nothing is opened or set."""
    found = [
        FoundCamera(
            information(device, rs.camera_info.serial_number),
            information(device, rs.camera_info.name),
            information(device, rs.camera_info.usb_type_descriptor),
            information(device, rs.camera_info.firmware_version),
        )
        for device in devices
    ]
    return sorted(found, key=lambda camera: camera.serial)


def find_arms(hosts: Iterable[str], timeout_s: float = CONNECT_S) -> list[FoundArm]:
    """Ask each host once for the arm's and the hand's port. Takes at most 2 x `timeout_s` per host that is silent."""
    return [_find_arm(host, timeout_s) for host in dict.fromkeys(hosts)]


def _find_arm(host: str, timeout_s: float) -> FoundArm:
    why_not = _listens(host, ARM_PORT, timeout_s)
    if why_not is not None:
        return FoundArm(host, False, False, why_not)
    if _listens(host, NOBODYS_PORT, timeout_s) is None:
        return FoundArm(host, False, False, "something answers on every port, as a proxy or firewall does: no arm")
    return FoundArm(host, True, _listens(host, HAND_PORT, timeout_s) is None)


def _listens(host: str, port: int, timeout_s: float) -> str | None:
    """None if a connection was accepted (and closed again), else the reason."""
    try:
        socket.create_connection((host, port), timeout_s).close()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s: check cable, power and this host's network address"
    except ConnectionRefusedError:
        return f"port {port} is closed: activate FCI in Desk"
    except OSError as error:
        return f"{error.strerror or error}"
    return None


def draft(name: str, cameras: Sequence[FoundCamera], arms: Sequence[FoundArm]) -> str:
    """The text of a cell file with what was found; what must be looked at by a person is marked CHECK.

    Args:
        name: of the cell: a-z, 0-9, '_', '-'.
        cameras, arms: as found; arms that do not listen are left out. Without any, an arm at the usual address is drafted.
    """
    listening = [arm for arm in arms if arm.arm]
    names = ["main"] if len(listening) < 2 else [f"arm{number}" for number in range(1, len(listening) + 1)]
    lines = [
        "# Drafted by 'sinew find'. Look at every line marked CHECK, then run 'sinew check' on this file.",
        "schema: sinew.cell/1",
        f"name: {name}",
        "",
        "arms:",
    ]
    for number, arm_name in enumerate(names):
        lines += _arm_lines(arm_name, listening[number] if listening else None)
    hands = [arm_name for arm_name, arm in zip(names, listening, strict=False) if arm.hand]
    if hands:
        lines += ["", "hands:"] + [f"  {arm}: {{driver: franka_hand, arm: {arm}}}" for arm in hands]
    if cameras:
        lines += ["", "cameras:"]
        for number, camera in enumerate(cameras, 1):
            lines += _camera_lines(f"camera{number}", camera)
    lines += [
        "",
        "limits:",
        "  profile: collaborative",
        "  profiles:",
        "    collaborative: {tcp_speed_m_s: 0.25, elbow_speed_m_s: 0.25}",
        "",
        "loop: {rate_hz: 200}",
    ]
    return "\n".join(lines) + "\n"


def _arm_lines(name: str, arm: FoundArm | None) -> list[str]:
    where = (
        "CHECK: no arm was reached, this is the usual address"
        if arm is None
        else "something listens here as an arm does"
    )
    return [
        f"  {name}:",
        "    driver: franka",
        f"    host: {arm.host if arm else USUAL_HOSTS[0]}   # {where}",
        "    # CHECK: the Franka Hand's frame; 'sinew check' compares it with what the robot reports.",
        "    T_flange_ee: {xyz_m: [0, 0, 0.1034], rpy_rad: [0, 0, -0.7853981633974483]}",
        "    # CHECK: a pose that is free in your cell.",
        "    home_q_rad: [0, -0.785398, 0, -2.356194, 0, 1.570796, 0.785398]",
    ]


def _camera_lines(name: str, camera: FoundCamera) -> list[str]:
    trouble = f"   # CHECK: {camera.trouble}" if camera.trouble else ""
    return [
        f"  {name}:   # {camera.name}, firmware {camera.firmware}: CHECK: name it, and 'mounted_on: ARM' if it moves",
        "    driver: realsense",
        "    source: live",
        f'    serial: "{camera.serial}"{trouble}',
    ]
