"""The cell as a process: real clients connect, people are told, and nothing of it stays behind however it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import franky
import pytest
import yaml

from hil.cell_client import CellClient
from hil.fci.panel_socket import PanelError
from hil.plant import World
from hil.report import ROOT
from hil.scenes.state import RING_NAME, object_poses, scene_state_dtype
from runtime.cell import CELLS_DIR, load_cell
from runtime.clock import MonotonicClock
from runtime.ring import RingReader, instance_dir, remove_dead_rings
from runtime.ticker import sleep_ns

WAIT_S = 60.0


def new_host():
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


@pytest.fixture
def instance():
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)
    assert not instance_dir(name).exists(), "the cell left something behind"


@pytest.fixture
def cell_file(tmp_path):
    """A cell file: the shipped one with these changes."""

    def write(**changes):
        data = yaml.safe_load((CELLS_DIR / "emulated.yaml").read_text())
        data.update(changes)
        path = tmp_path / "cell.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
        return str(path)

    return write


def start(*arguments, cwd=None):
    return subprocess.Popen(
        [sys.executable, "-m", "hil.cell", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
    )


@contextmanager
def running(instance, *arguments):
    """A cell process without cameras' renderer unless asked for; ended and waited for on the way out."""
    process = start("emulated", "--instance", instance, *arguments)
    try:
        with CellClient(instance, wait_s=WAIT_S):
            pass
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)


@pytest.fixture
def host():
    return new_host()


@pytest.fixture
def cell(instance, host):
    """A running lock-step cell and a client of its panel."""
    with (
        running(instance, "--host", host, "--profile", "lockstep", "--no-render") as process,
        CellClient(instance) as client,
    ):
        client.process = process
        yield client
        assert process.poll() is None, process.communicate()


def eventually(condition, what):
    clock = MonotonicClock()
    end_ns = clock.now_ns() + int(WAIT_S * 1e9)
    while not condition():
        assert clock.now_ns() < end_ns, f"never: {what}"
        sleep_ns(5_000_000)


def test_franky_moves_the_arm_and_a_fault_of_the_panel_stops_it(cell, host):
    robot = franky.Robot(host, realtime_config=franky.RealtimeConfig.Ignore)
    robot.relative_dynamics_factor = 0.3
    target = [0.2, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
    robot.move(franky.JointMotion(target))
    arm = cell.status()["arms"]["main"]
    assert arm["connected"]
    assert arm["mode"] == "idle"
    assert arm["missed"] == 0
    assert arm["q"] == pytest.approx(target, abs=0.01)
    cell.fault("joint_reflex", at_s=cell.robot_time_s() + 0.3)
    with pytest.raises(franky.ControlException, match="joint_reflex"):
        robot.move(franky.JointMotion([-0.8, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]))
    arm = cell.status()["arms"]["main"]
    assert arm["mode"] == "reflex"
    assert arm["errors"] == ["joint_reflex"]
    assert arm["q"][0] > -0.79, "the arm stopped on its way"
    assert robot.recover_from_errors()
    assert cell.status()["arms"]["main"]["mode"] == "idle"


def test_the_gripper_takes_hold_of_an_object_of_the_scene(cell, host):
    gripper = franky.Gripper(host)
    assert gripper.grasp(0.05, 0.1, 20.0) is False
    T = cell.status()["arms"]["main"]["T_base_ee"]
    assert gripper.move(0.051, 0.1)
    cell.place("cube", [row[3] for row in T[:3]], (0.0, 1.0, 0.0, 0.0))  # the hand points down: half a turn about x
    assert gripper.grasp(0.05, 0.1, 20.0) is True
    cell.wait_robot_time(cell.robot_time_s() + 0.5, WAIT_S)
    assert cell.status()["hands"]["main"]["is_grasped"]
    assert cell.objects()["cube"]["xyz_m"][2] == pytest.approx(T[2][3], abs=0.02), "it hangs in the hand"


COMMANDER = """
import sys, franky
robot = franky.Robot(sys.argv[1], realtime_config=franky.RealtimeConfig.Ignore)
robot.relative_dynamics_factor = 0.05
robot.move(franky.JointMotion([2.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]))
"""


def test_a_commander_that_stops_answering_holds_neither_panel_nor_pictures_up_and_the_arm_comes_to_rest(
    cell, host, instance
):
    state = RingReader(instance, RING_NAME, scene_state_dtype(World(load_cell("emulated")).model))

    def arm():
        return cell.status()["arms"]["main"]

    with subprocess.Popen([sys.executable, "-c", COMMANDER, host]) as commander:
        try:
            eventually(lambda: arm()["q"][0] > 0.05, "the motion")
            commander.send_signal(signal.SIGSTOP)
            stamps = {}
            for _ in range(50):
                cell.status()
                row = state.latest(0)
                assert row is not None
                stamps.setdefault(int(row["world_time_ns"]), set()).add(state.meta.stamp_ns)
                sleep_ns(5_000_000)
            assert max(map(len, stamps.values())) > 5, "the world stands still and is shown and answered for meanwhile"
        finally:
            commander.kill()
    eventually(lambda: arm()["mode"] == "reflex" and max(map(abs, arm()["dq"])) < 1e-3, "rest")
    assert arm()["errors"] == ["communication_constraints_violation"]
    assert arm()["q"][0] < 1.0


def test_the_state_ring_shows_what_the_panel_tells(cell, instance):
    dtype = scene_state_dtype(World(load_cell("emulated")).model)
    reader = RingReader(instance, RING_NAME, dtype)
    cell.place("cube", (0.4, 0.3, 0.025))
    start_ns = MonotonicClock().now_ns()

    def shown():
        row = reader.latest(0)
        return row is not None and reader.meta.stamp_ns > start_ns

    eventually(shown, "a state newer than the request")
    cube, _ = object_poses(reader.latest(0))["cube"]
    assert cube == pytest.approx([0.4, 0.3, 0.025], abs=0.002)


def test_people_get_a_line_per_second_and_a_sentence_per_event(instance, host):
    with running(instance, "--host", host, "--profile", "lockstep", "--no-render") as process:
        with CellClient(instance) as client:
            robot = franky.Robot(host, realtime_config=franky.RealtimeConfig.Ignore)
            client.fault("user_stop")
            lines = []
            while not any("user_stopped" in line for line in lines):
                lines.append(process.stdout.readline())
                assert lines[-1], lines
        del robot
    text = "".join(lines)
    assert f"emulated cell 'emulated' (lockstep): main at {host}" in text
    assert re.search(rf"arm 'main' {host}:1337: client .* connected", text)
    assert "fault user_stop" in text
    last = lines[-1]
    assert re.match(r" *\d+\.\d{3} s \(\d\.\d\d of real time\) \| arm main: user_stopped, ", last), last
    assert "hand main: 80.0 mm" in last
    assert re.search(r"cube \d+\.\d -?\d+\.\d \d+\.\d", last), last


def test_a_reader_that_does_not_read_never_holds_the_robot_up(instance, host):
    """The report goes to a pipe nobody reads; more is told than the pipe holds."""
    with running(instance, "--host", host, "--no-render"), CellClient(instance) as client:
        for _ in range(2000):
            client.fault("restore")
        before_s = client.robot_time_s()
        client.wait_robot_time(before_s + 0.2, WAIT_S)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_cell_told_to_end_leaves_nothing_and_its_client_knows(instance, host, how):
    process = start("emulated", "--instance", instance, "--host", host, "--no-render")
    client = CellClient(instance, wait_s=WAIT_S)
    assert (instance_dir(instance) / "cell.sock").exists()
    process.send_signal(how)
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    assert output.endswith("ended\n")
    assert not instance_dir(instance).exists()
    for port in (1337, 1338):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))
    with pytest.raises(PanelError, match="went away"):
        client.status()


def test_a_killed_cell_takes_its_renderer_along_and_the_next_one_starts(instance, host, cell_file):
    camera = {"driver": "realsense", "source": "software", "serial": "000000000001", "depth": "off"}
    path = cell_file(cameras={"front": {**camera, "image": {"width_px": 64, "height_px": 48, "fps": 5}}})
    process = start(path, "--instance", instance, "--host", host)
    frames = instance_dir(instance) / "scene.front.frame.ring"
    eventually(lambda: frames.exists() or process.poll() is not None, "the renderer's ring")
    (renderer,) = children_of(process.pid)
    process.kill()
    process.communicate(timeout=WAIT_S)
    eventually(lambda: not Path(f"/proc/{renderer}").exists(), "the end of the renderer")
    with running(instance, "--host", host, "--no-render"), CellClient(instance) as client:
        assert client.robot_time_s() >= 0


def test_the_renderer_finds_a_cell_file_given_by_a_relative_path_and_ends_with_its_cell(instance, host, cell_file):
    camera = {"driver": "realsense", "source": "software", "serial": "000000000001", "depth": "off"}
    path = cell_file(cameras={"front": {**camera, "image": {"width_px": 64, "height_px": 48, "fps": 5}}})
    process = start(Path(path).name, "--instance", instance, "--host", host, cwd=Path(path).parent)
    frames = instance_dir(instance) / "scene.front.frame.ring"
    eventually(lambda: frames.exists() or process.poll() is not None, "the renderer's ring")
    (renderer,) = children_of(process.pid)
    process.terminate()
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert not Path(f"/proc/{renderer}").exists()
    assert not instance_dir(instance).exists()


@pytest.mark.parametrize("milliseconds", [50, 250, 300, 350, 400])
def test_a_stop_at_any_moment_of_the_start_leaves_nothing(instance, host, milliseconds):
    process = start("emulated", "--instance", instance, "--host", host, "--no-render")
    sleep_ns(milliseconds * 1_000_000)
    process.terminate()
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode in (0, -signal.SIGTERM), errors  # the latter before anything was opened
    assert not instance_dir(instance).exists()


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def refused(*arguments):
    """The one sentence on standard error of a cell that does not start."""
    process = start(*arguments, "--no-render")
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1, output + errors
    assert "Traceback" not in errors
    return errors


def test_a_busy_port_and_a_busy_instance_are_refused_with_the_holders_pid(cell, instance, host):
    pid = cell.process.pid
    errors = refused("emulated", "--instance", f"{instance}-other", "--host", host)
    assert f"{host}:1337" in errors
    assert f"held by process {pid}" in errors
    assert not instance_dir(f"{instance}-other").exists()
    assert f"written by process {pid}" in refused("emulated", "--instance", instance, "--host", new_host())
    with socket.create_server((free := new_host(), 1338)):
        assert f"held by process {os.getpid()}" in refused("emulated", "--instance", f"{instance}-x", "--host", free)
    assert cell.status()["arms"]["main"]["mode"] == "idle", "the running cell is unharmed"


def test_what_is_no_emulated_cell_is_refused_with_the_reason(instance, cell_file):
    path = cell_file(emulated=None, cameras={})
    assert "is a real cell (it has no key 'emulated')" in refused(path, "--instance", instance)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "no cell 'nowhere'"),
        (["emulated", "--host", "192.168.0.1"], "loopback addresses"),
        (["emulated", "--host", "not an address"], "at 'not an address': allowed are loopback"),
        (["emulated", "--seed", "-1"], "seed"),
    ],
)
def test_wrong_arguments_are_refused_by_name(instance, arguments, named):
    assert named in refused(*arguments, "--instance", instance)


def test_a_host_for_a_cell_of_two_arms_is_refused(instance, cell_file):
    arm = {"driver": "franka", "T_flange_ee": {}, "home_q_rad": [0, -0.785, 0, -2.356, 0, 1.571, 0.785]}
    arms = {"main": {**arm, "host": new_host()}, "other": {**arm, "host": new_host()}}
    path = cell_file(arms=arms, cameras={})
    assert "has 2 arms: set their hosts in its file" in refused(path, "--instance", instance, "--host", new_host())
