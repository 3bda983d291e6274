import os
import signal
import subprocess
import sys
import uuid
import zlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from hil.plant import World
from hil.render import FramePlan, RenderProcess
from hil.render_image import DEPTH_SCALE_M, SceneRenderer
from hil.render_snapshot import png
from hil.scenes.camera import camera_truth
from hil.scenes.fr3 import HAND_TURN_RAD
from hil.scenes.state import RING_NAME, SLOTS, fill_scene_state, object_poses, scene_state_dtype
from runtime.cell import Cell, load_cell
from runtime.clock import ManualClock, MonotonicClock
from runtime.ring import RingReader, RingWriter, remove_dead_rings, ring_names
from runtime.rows import HEARTBEAT, frame_dtype
from runtime.ticker import sleep_ns

ROOT = Path(__file__).resolve().parents[2]
NO_EGL = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/dev/null"}  # the EGL dispatcher then finds no driver, as without Mesa
SMALL = {"width_px": 160, "height_px": 120, "fps": 30}


def cell_text(**camera_keys) -> dict:
    cell = load_cell("emulated").model_dump(by_alias=True, mode="json")
    for camera in cell["cameras"].values():
        camera.update(camera_keys)
    return cell


@pytest.fixture(scope="module")
def cell() -> Cell:
    return load_cell("emulated")


@pytest.fixture(scope="module")
def renderer(cell):
    renderer = SceneRenderer(cell, "egl")
    yield renderer
    renderer.close()


def state_row(world):
    row = np.zeros(1, scene_state_dtype(world.model))[0]
    fill_scene_state(row, world)
    return row


def picture(renderer, world, camera, *, infrared=False):
    frame = np.zeros(1, frame_dtype(640, 480, depth=True, infrared=infrared))[0]
    renderer.set_state(state_row(world))
    renderer.render(camera, frame)
    return frame


def test_late_camera_is_due_once_and_what_it_missed_is_counted():
    period_ns = 1_000_000_000 // 30
    plan = FramePlan({"front": 30, "wrist": 15}, start_ns=0)
    assert plan.due(0) == ["front", "wrist"]
    assert plan.due(period_ns - 1) == []
    assert plan.due(period_ns) == ["front"]
    assert plan.skipped == 0
    assert sorted(plan.due(5 * period_ns + 1)) == ["front", "wrist"]  # front slots 2, 3, 4 and wrist slot 1 are gone
    assert plan.skipped == 4
    assert plan.due(5 * period_ns + 2) == []
    assert plan.next_ns == 6 * period_ns


def test_state_row_carries_the_scene(cell):
    world = World(cell, seed=4)
    row = state_row(world)
    np.testing.assert_array_equal(row["qpos"], world.data.qpos)
    for name, (position, quat) in object_poses(row).items():
        np.testing.assert_array_equal(position, world.objects()[name][0])
        np.testing.assert_array_equal(quat, world.objects()[name][1])


def test_depth_of_the_table_is_right_to_two_millimetres(cell, renderer):
    world = World(cell, seed=0)
    for place, name in enumerate(("cube", "block", "cylinder")):
        world.set_object(name, [0.3 + 0.1 * place, 3.0, 0.5], [1, 0, 0, 0])  # out of the picture
    world.set_object("goal", [0.3, 3.0, 0.5], [1, 0, 0, 0])
    truth, depth = camera_truth(cell)["front"], picture(renderer, world, "front")["depth"] * DEPTH_SCALE_M
    camera, T = truth.intrinsics, truth.T_world_camera
    v, u = np.mgrid[300:480, 160:480]  # table and nothing else
    rays = np.stack([(u - camera.cx_px) / camera.fx_px, (v - camera.cy_px) / camera.fy_px, np.ones_like(u)], axis=-1)
    expected = -T[2, 3] / (rays @ T[2, :3])  # where the ray meets world z = 0, along the camera's z axis
    assert expected.max() - expected.min() > 0.2  # the plane is seen at a slant: a distance along the ray would differ
    np.testing.assert_allclose(depth[300:480, 160:480], expected, atol=0.002)


def test_nothing_in_range_is_no_depth(renderer):
    buffer, out = np.zeros((480, 640), np.float32), np.ones((480, 640), np.uint16)
    buffer[10, 20] = 1.0  # at the near end of the range
    renderer._metric(buffer, out)
    assert out[479 - 10, 20] == 10  # 10 mm, rows turned
    assert out.sum() == 10


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_cube_is_seen_where_the_true_camera_pose_puts_it(cell, renderer, camera):
    world = World(cell, seed=2)
    for place, name in enumerate(("cube", "block", "cylinder")):
        world.set_object(name, [0.3 + 0.1 * place, 3.0, 0.5], [1, 0, 0, 0])  # out of the picture
    without = picture(renderer, world, camera)["depth"].astype(int)
    world.set_object("cube", [0.44, 0.03, 0.025], [np.cos(0.2), 0, 0, np.sin(0.2)])
    truth, frame = camera_truth(cell)[camera], picture(renderer, world, camera)
    if truth.mounted_on is None:
        T_world_camera = truth.T_world_camera
    else:
        arm = world.arms["main"]
        T_world_camera = arm.fk(arm.q, truth.T_flange_camera)
        c, s = np.cos(HAND_TURN_RAD), np.sin(HAND_TURN_RAD)
        T_flange_hand = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        np.testing.assert_allclose(T_world_camera, arm.fk(arm.q, T_flange_hand @ truth.T_hand_camera), atol=1e-12)
    # Every pixel's ray against the cube: entry and exit of the three slabs, in the cube's axes.
    K = truth.intrinsics
    v, u = np.mgrid[0:480, 0:640]
    rays = np.stack([(u - K.cx_px) / K.fx_px, (v - K.cy_px) / K.fy_px, np.ones_like(u)], axis=-1)
    c, s = np.cos(0.4), np.sin(0.4)
    R_world_cube = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    eye = R_world_cube.T @ (T_world_camera[:3, 3] - (0.44, 0.03, 0.025))
    rays = rays @ T_world_camera[:3, :3].T @ R_world_cube
    sides = np.sort([(-0.025 - eye) / rays, (0.025 - eye) / rays], axis=0)
    enters, leaves = sides[0].max(axis=-1), sides[1].min(axis=-1)
    hit = enters < leaves
    seen = np.abs(frame["depth"].astype(int) - without) > 2
    assert hit.sum() > 500
    # Half a pixel off would misplace half the outline.
    assert (seen ^ hit).sum() < 0.02 * hit.sum()
    both = seen & hit
    assert np.mean(np.abs(frame["depth"] * DEPTH_SCALE_M - enters)[both] < 0.002) > 0.99
    red, green, _ = frame["color"][both].astype(int).mean(axis=0)
    assert red > 2 * green


def test_both_cameras_see_the_objects_and_the_wrist_its_fingers(cell, renderer):
    world = World(cell, seed=3)
    front, wrist = (picture(renderer, world, name)["color"].astype(int) for name in ("front", "wrist"))
    for image in (front, wrist):
        red, green, blue = image[..., 0], image[..., 1], image[..., 2]
        assert ((red > 2 * green) & (green > blue)).sum() > 100, "cube"
        assert ((blue > 2 * red) & (blue > green)).sum() > 100, "cylinder"
    before = picture(renderer, world, "wrist")["color"].astype(int)
    world.hands["main"].set_target(0.0, 0.2, 20.0)
    for _ in range(600):
        world.step()
    after = picture(renderer, world, "wrist")["color"].astype(int)
    moved = np.abs(after - before).sum(axis=2) > 60
    assert moved[300:].sum() > 5000  # the fingers are in the lower part of the picture
    assert moved[:300].sum() < 100


def test_infrared_is_the_pictures_brightness(cell, renderer):
    frame = picture(renderer, World(cell, seed=1), "front", infrared=True)
    luma = frame["color"] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(frame["infrared"], luma, atol=1.5)


def decoded(data):
    """Pixels of a PNG whose rows use filter 0."""
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    channels = {0: 1, 2: 3}[data[25]]
    position, body = 8, b""
    while position < len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        content = data[position + 8 : position + 8 + length]
        checksum = int.from_bytes(data[position + 8 + length : position + 12 + length], "big")
        assert zlib.crc32(kind + content) == checksum
        body += content if kind == b"IDAT" else b""
        position += 12 + length
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + width * channels)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


def test_png_gives_the_pixels_back():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    np.testing.assert_array_equal(decoded(png(image)), image)
    np.testing.assert_array_equal(decoded(png(image[..., 0]))[..., 0], image[..., 0])


@pytest.fixture
def instance():
    name = f"render-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)


def test_frame_is_stamped_with_its_state_and_an_old_state_gives_no_new_frame(cell, renderer, instance):
    clock, world = ManualClock(), World(cell, seed=1)
    process = RenderProcess(cell, instance, renderer, clock)
    frames = RingReader(instance, "scene.front.frame", frame_dtype(640, 480, depth=True, infrared=False))
    try:
        assert process.render_due(["front"], clock.now_ns()) is None  # no state yet
        assert frames.head == 0
        with RingWriter(instance, RING_NAME, scene_state_dtype(world.model), SLOTS) as state:
            fill_scene_state(state.row, world)
            state.commit(clock.now_ns())
            stamp_ns = clock.now_ns()
            clock.advance(7_000_000)
            for _ in range(3):
                assert process.render_due(["front"], clock.now_ns()) == stamp_ns
            frame = frames.latest(clock.now_ns())
            assert frames.head == 1
            assert (frame["capture_ns"], frame["receive_ns"]) == (stamp_ns, clock.now_ns())
            assert frame["depth_scale_m"] == DEPTH_SCALE_M
            state.commit(clock.now_ns())
            process.render_due(["front"], clock.now_ns())
            assert frames.latest(clock.now_ns())["color_number"] == 2
        assert process.render_due(["front"], clock.now_ns()) is None  # the cell has closed its ring
        assert frames.head == 2
    finally:
        process.close()
    assert ring_names(instance) == []


def command(*arguments):
    return [sys.executable, "-m", "hil.render", *map(str, arguments)]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **more}


@pytest.fixture
def small_cell_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(cell_text(image=SMALL, infrared=True)))
    return path


class Scene:
    """Writes `scene.state` of a small cell, as the emulated cell does."""

    def __init__(self, path, instance):
        self.cell, self.instance = load_cell(str(path)), instance
        self.world, self.clock = World(self.cell, seed=1), MonotonicClock()
        self.state = RingWriter(instance, RING_NAME, scene_state_dtype(self.world.model), SLOTS)
        dtype = frame_dtype(160, 120, depth=True, infrared=True)
        self.frames = {name: RingReader(instance, f"scene.{name}.frame", dtype) for name in self.cell.cameras}
        self.stamps = set()

    def run_until(self, condition, tries=3000):
        for _ in range(tries):
            self.world.step()
            fill_scene_state(self.state.row, self.world)
            now_ns = self.clock.now_ns()
            self.stamps.add(now_ns)
            self.state.commit(now_ns)
            if condition():
                return
            sleep_ns(10_000_000)
        raise AssertionError("never happened")


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_renderer_process_delivers_frames_ends_when_told_and_comes_back_after_a_kill(small_cell_file, instance):
    scene = Scene(small_cell_file, instance)
    try:
        for end in (signal.SIGKILL, signal.SIGTERM):
            process = subprocess.Popen(command(small_cell_file, "--instance", instance), env=environment())
            try:
                first = {name: reader.head for name, reader in scene.frames.items()}
                assert end == signal.SIGKILL or any(first.values())  # what the killed one left is still there ...
                beat = RingReader(instance, "render.heartbeat", HEARTBEAT)

                def fresh(pid=process.pid, beat=beat):
                    row = beat.latest(0)
                    return row is not None and row["pid"] == pid and all(r.head >= 5 for r in scene.frames.values())

                scene.run_until(fresh)
                for reader in scene.frames.values():
                    frame = reader.latest(scene.clock.now_ns())
                    assert int(frame["capture_ns"]) in scene.stamps
                    assert frame["color"].std() > 10
                    assert frame["depth"].any()
                    assert frame["infrared"].any()
            finally:
                process.send_signal(end)
                code = process.wait(20)
        assert code == 0
        assert ring_names(instance) == [RING_NAME]  # ... and a clean end leaves nothing
    finally:
        scene.state.close()


def test_renderer_ends_with_its_parent(small_cell_file, instance):
    scene = Scene(small_cell_file, instance)
    try:
        starter = "import subprocess, sys, time; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); time.sleep(600)"
        parent = subprocess.Popen(
            [sys.executable, "-c", starter, *command(small_cell_file, "--instance", instance)],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        pid = int(parent.stdout.readline())
        try:
            scene.run_until(lambda: all(reader.head > 0 for reader in scene.frames.values()))
            parent.kill()
            parent.wait(20)
            scene.run_until(lambda: gone(pid))
        finally:
            parent.kill()
            parent.wait(20)
            parent.stdout.close()
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        assert ring_names(instance) == [RING_NAME]
    finally:
        scene.state.close()


def test_without_egl_it_says_so_and_osmesa_draws_the_same(small_cell_file, tmp_path):
    outputs = {}
    for name, more in (("egl", {}), ("fallback", NO_EGL)):
        outputs[name] = subprocess.run(
            command(small_cell_file, "--snapshot", tmp_path / name, "--seed", 2),
            env=environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert outputs[name].returncode == 0, outputs[name].stderr
    assert "osmesa" not in outputs["egl"].stderr
    assert "the egl renderer does not start" in outputs["fallback"].stderr
    assert "going on with osmesa" in outputs["fallback"].stderr
    assert len(outputs["egl"].stdout.split()) == 4
    for path in (tmp_path / "egl").iterdir():
        one, other = decoded(path.read_bytes()), decoded((tmp_path / "fallback" / path.name).read_bytes())
        assert np.mean(np.abs(one.astype(int) - other) > 8) < 0.02  # edges may fall on the other pixel


def test_no_renderer_at_all_is_refused_with_the_remedy(small_cell_file, tmp_path):
    refused = subprocess.run(
        command(small_cell_file, "--snapshot", tmp_path / "none", "--gl", "egl"),
        env=environment(**NO_EGL),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert refused.returncode == 1
    assert "libegl1" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "none").exists()


def test_cell_without_software_cameras_is_refused(tmp_path, capsys):
    from hil.render import main

    path = tmp_path / "live.yaml"
    path.write_text(yaml.safe_dump(cell_text(source="live")))
    assert main([str(path)]) == 1
    assert "no camera with source 'software'" in capsys.readouterr().err
