"""What is found is what is there, and the draft is a cell file that loads."""

import socket
import uuid

import pyrealsense2 as rs
import pytest

from drivers.find import ARM_PORT, HAND_PORT, NOBODYS_PORT, FoundArm, FoundCamera, draft, find_arms, find_cameras
from hil.realsense.camera import EmulatedCamera
from hil.realsense.device import Identity
from runtime.cell import load_cell

CAMERA = FoundCamera("012345678901", "Intel RealSense D435", "3.2", "5.17.0.10")
SLOW = FoundCamera("012345678902", "Intel RealSense D405", "2.1", "5.17.0.10")


@pytest.fixture
def host():
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


@pytest.fixture
def listen():
    opened = []

    def start(host, port):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        one.listen()
        opened.append(one)
        return one

    yield start
    for one in opened:
        one.close()


def test_a_closed_port_is_no_arm_and_says_what_to_do(host):
    (found,) = find_arms([host])
    assert not found.arm
    assert "activate FCI" in found.why_not


def test_an_arm_with_a_hand_is_told_from_one_without(host, listen):
    listen(host, ARM_PORT)
    assert find_arms([host]) == [FoundArm(host, True, False)]
    listen(host, HAND_PORT)
    assert find_arms([host, host]) == [FoundArm(host, True, True)]


def test_nothing_is_said_to_the_robot(host, listen):
    server = listen(host, ARM_PORT)
    find_arms([host])
    connection, _ = server.accept()
    with connection:
        assert connection.recv(4096) == b""


def test_what_answers_on_every_port_is_no_arm(host, listen):
    for port in (ARM_PORT, HAND_PORT, NOBODYS_PORT):
        listen(host, port)
    (found,) = find_arms([host])
    assert not found.arm
    assert "proxy" in found.why_not


def test_a_name_without_an_address_is_told_as_such():
    (found,) = find_arms(["no-such-host.invalid"])
    assert not found.arm
    assert found.why_not


def test_no_camera_attached_is_an_empty_list():
    assert find_cameras(rs.context().query_devices()) == []


def test_a_camera_is_listed_as_it_describes_itself():
    emulated = EmulatedCamera(Identity.of_camera(load_cell("emulated").cameras["front"], 60.0), seed=1)
    (found,) = find_cameras(emulated.devices())
    assert found.serial == "000000000001"
    assert found.name
    assert found.usb.startswith("3")
    assert found.trouble == ""


@pytest.mark.parametrize("arms", [[], [FoundArm("10.0.0.1", False, False, "silent")], [FoundArm("10.0.0.1", True, True)],
                                  [FoundArm("10.0.0.1", True, False), FoundArm("10.0.0.2", True, True)]])  # fmt: skip
@pytest.mark.parametrize("cameras", [[], [CAMERA], [CAMERA, SLOW]])
def test_every_draft_loads_with_what_was_found(tmp_path, arms, cameras):
    file = tmp_path / "bench_1.yaml"
    file.write_text(draft("bench_1", cameras, arms))
    cell = load_cell(str(file))
    listening = [arm for arm in arms if arm.arm]
    assert cell.name == "bench_1"
    assert cell.emulated is None
    assert [arm.host for arm in cell.arms.values()] == ([arm.host for arm in listening] or ["172.16.0.2"])
    assert [camera.serial for camera in cell.cameras.values()] == [camera.serial for camera in cameras]
    assert len(cell.hands) == sum(arm.hand for arm in listening)
    assert "CHECK" in file.read_text()


def test_a_camera_on_usb_2_is_marked_in_the_draft():
    text = draft("bench", [SLOW], [])
    assert "CHECK: connected as USB 2.1: use a USB 3 cable and port" in text
