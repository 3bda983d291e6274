"""The demonstration on the emulated cell: pick the cube, put it on the disc, through drivers, rt, gate and hand.

The source of motion is scripted: it is told the objects' poses by the scene (no policy looks at the cameras yet), and the
report says so. Everything between that script and the emulated robot is what runs on a real one.
"""

import base64
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from hil.cell_client import CellClient
from hil.render_snapshot import png
from hil.scenes.table import GOAL_RADIUS_M, T_world_pose
from launch.missions import Mission, MissionRefusedError
from launch.supervisor import Supervisor
from runtime.cell import Cell
from runtime.errors import SinewError
from runtime.modes.machine import Mode
from runtime.ring import RingReader
from runtime.rows import RequestKind, RequestStatus, frame_dtype
from runtime.rows_rt import RT_TICK

OBJECT = "cube"
OBJECT_HEIGHT_M = 0.05
GRASP_WIDTH_M, GRASP_EPSILON_M = 0.05, 0.012
GRASP_Z_M = 0.022  # the tool centre at the grasp, above the table
TRAVEL_Z_M = 0.16
HAND_NS = 20_000_000_000
SHOWN_EVERY = 2  # pixels: pictures in the report are half size


@dataclass
class Episode:
    """What happened in one episode."""

    number: int
    seed: int
    success: bool = False
    text: str = ""
    seconds: float = 0.0
    distance_m: float = math.nan  # of the object's centre from the goal's, at the end
    pictures: list[tuple[str, str, str]] = field(default_factory=list)  # phase, camera, base64 PNG
    first_row: int = 0
    last_row: int = 0


class Demo:
    """The script of the demonstration, and what it saw; `mission` is what a session runs.

    Args:
        cell, instance: the emulated cell that is run.
        episodes, seed: how many, and the seed of the first one's object poses.
        fault: a fault of the cell's panel to raise while the object is carried in the first episode, or None.
        work_dir: where the waypoint files go.
    """

    def __init__(self, cell: Cell, instance: str, episodes: int, seed: int, fault: str | None, work_dir: Path) -> None:
        self.cell, self.instance, self.seed, self.fault, self.work_dir = cell, instance, seed, fault, work_dir
        self.episodes = [Episode(k, seed + k) for k in range(episodes)]
        self.rows: list[np.void] = []
        self.modes: list[tuple[int, str]] = []
        self.arm = next(iter(cell.arms))
        self._ticks = RingReader(instance, f"rt.tick.{self.arm}", RT_TICK)
        self._frames = {
            name: RingReader(
                instance,
                f"camera.{name}.frame",
                frame_dtype(one.image.width_px, one.image.height_px, depth=one.depth != "off", infrared=one.infrared),
            )
            for name, one in cell.cameras.items()
        }
        self._files = 0

    # --- the script --------------------------------------------------------------------------------------------------

    def mission(self, supervisor: Supervisor) -> Mission:
        """All episodes, one after another; a refused one is reported and the next begins after an acknowledgement."""
        with CellClient(self.instance) as scene:
            for episode in self.episodes:
                yield from self._one(supervisor, scene, episode)
        good = sum(one.success for one in self.episodes)
        text = f"{good} of {len(self.episodes)} placed (emulated, scripted source)"
        if good < len(self.episodes) - (self.fault is not None):
            raise MissionRefusedError(text)
        return text

    def _one(self, supervisor: Supervisor, scene: CellClient, episode: Episode) -> Mission:
        start_s = scene.robot_time_s()
        episode.first_row = len(self.rows)
        supervisor.say(f"episode {episode.number + 1} of {len(self.episodes)}, seed {episode.seed}")
        try:
            yield from self._collecting(self._pick_and_place(supervisor, scene, episode))
            episode.success, episode.text = self._judge(scene, episode)
        except SinewError as refused:
            episode.text = str(refused)
            supervisor.say(f"episode {episode.number + 1}: {refused}")
            yield from self._collecting(self._recover(supervisor, scene))
        episode.seconds = scene.robot_time_s() - start_s
        episode.last_row = len(self.rows)
        supervisor.say(f"episode {episode.number + 1}: {'placed' if episode.success else 'not placed'}: {episode.text}")
        return ""

    def _pick_and_place(self, supervisor: Supervisor, scene: CellClient, episode: Episode) -> Mission:
        missions = supervisor.missions
        yield from missions.home()
        yield from self._hand(supervisor, RequestKind.HAND_MOVE, (0.08, 0.1))
        scene.scatter(episode.seed)
        objects = scene.objects()
        x, y, yaw = self._in_base(objects[OBJECT])
        goal_x, goal_y, _ = self._in_base(objects["goal"])
        yield from self._see("start", episode)
        yield from missions.run(self._file([(x, y, TRAVEL_Z_M, yaw), (x, y, GRASP_Z_M, yaw)]))
        grasp = (GRASP_WIDTH_M, 0.1, 20.0, GRASP_EPSILON_M, GRASP_EPSILON_M)
        yield from self._hand(supervisor, RequestKind.HAND_GRASP, grasp)
        yield from self._see("grasped", episode)
        if self.fault and episode.number == 0:
            said = scene.fault(self.fault, arm=self.arm, at_s=scene.robot_time_s() + 1.5)
            supervisor.say(f"fault raised: {said}")
        lift = [(x, y, TRAVEL_Z_M, yaw), (goal_x, goal_y, TRAVEL_Z_M, yaw), (goal_x, goal_y, GRASP_Z_M + 0.004, yaw)]
        yield from missions.run(self._file(lift))
        yield from self._hand(supervisor, RequestKind.HAND_MOVE, (0.08, 0.1))
        yield from missions.run(self._file([(goal_x, goal_y, TRAVEL_Z_M, yaw)]))
        yield from self._see("end", episode)
        return ""

    def _recover(self, supervisor: Supervisor, scene: CellClient) -> Mission:
        """What an operator would do: end the cause, wait until the arm is still, acknowledge."""
        scene.clear()
        while supervisor.rt.groups and supervisor.rt.groups[0].mode is Mode.STOPPING:
            yield "stopping"
        if supervisor.rt.groups and supervisor.rt.groups[0].mode not in (Mode.DISARMED, Mode.ARMED):
            yield from supervisor.missions.ack(lambda: None)
        return ""

    # --- pieces ------------------------------------------------------------------------------------------------------

    def _hand(self, supervisor: Supervisor, kind: RequestKind, values: tuple[float, ...]) -> Mission:
        """One request to the hand, and its answer."""
        name = next(hand for hand, one in self.cell.hands.items() if one.arm == self.arm)
        asked_ns = supervisor.missions.now_ns
        request = supervisor.devices.ask_hand(name, asked_ns, kind, values)
        state = supervisor.devices.hand_states[name]
        while True:
            row = state.latest(supervisor.missions.now_ns, 1_000_000_000)
            if row is not None and int(row["request_id"]) == request:
                status = RequestStatus(row["request_status"])
                if status is RequestStatus.DONE:
                    return ""
                if status in (RequestStatus.REFUSED, RequestStatus.FAILED, RequestStatus.UNSUCCESSFUL):
                    raise MissionRefusedError(
                        f"hand: {kind.name.lower()} {status.name.lower()}: width {row['width_m']:.4f} m"
                    )
            if supervisor.missions.now_ns - asked_ns > HAND_NS:
                raise MissionRefusedError(f"hand: no answer to {kind.name.lower()} within {HAND_NS / 1e9:g} s")
            yield f"hand {kind.name.lower()}"

    def _in_base(self, pose: dict[str, list[float]]) -> tuple[float, float, float]:
        """x, y [m] of an object in the arm's base, and the yaw [rad] of its faces within +-45 degrees."""
        T_base_world = np.linalg.inv(T_world_pose(self.cell.arms[self.arm].T_base_mount))
        x, y, *_ = T_base_world @ np.array([*pose["xyz_m"], 1.0])
        w, a, b, c = pose["quat_wxyz"]
        yaw = math.atan2(2 * (w * c + a * b), 1 - 2 * (b * b + c * c))
        return float(x), float(y), (yaw + math.pi / 4) % (math.pi / 2) - math.pi / 4

    def _file(self, places: list[tuple[float, float, float, float]]) -> Path:
        """A waypoint file with the tool pointing down at each place (x, y, z [m], yaw [rad])."""
        self._files += 1
        path = self.work_dir / f"demo-{self._files:02d}.yaml"
        points = [{"pose": {"xyz_m": [x, y, z], "rpy_rad": [math.pi, 0.0, yaw]}} for x, y, z, yaw in places]
        text = yaml.safe_dump({"schema": "sinew.waypoints/1", "arm": self.arm, "speed": 1.0, "waypoints": points})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _see(self, phase: str, episode: Episode) -> Mission:
        """Keep what the cameras show, from the drivers' own rings."""
        for name, reader in self._frames.items():
            for _ in range(100):
                view = reader.view(0)
                if view is not None:
                    image = np.ascontiguousarray(view.row["color"][::SHOWN_EVERY, ::SHOWN_EVERY])
                    if view.still_valid():
                        episode.pictures.append((phase, name, base64.b64encode(png(image)).decode()))
                        break
                yield f"waiting for camera {name}"
            else:
                raise MissionRefusedError(f"camera '{name}' gave no picture: 'sinew check' tells what is wrong")
        return ""

    def _judge(self, scene: CellClient, episode: Episode) -> tuple[bool, str]:
        """Whether the object stands on the disc, by the scene's own truth."""
        objects = scene.objects()
        place, goal = np.array(objects[OBJECT]["xyz_m"]), np.array(objects["goal"]["xyz_m"])
        episode.distance_m = float(np.hypot(*(place - goal)[:2]))
        on_table = bool(place[2] < OBJECT_HEIGHT_M)
        ok = on_table and episode.distance_m < GOAL_RADIUS_M
        return (
            ok,
            f"{OBJECT} {episode.distance_m * 1000:.0f} mm from the goal's centre{'' if on_table else ', not on the table'}",
        )

    def _collecting(self, script: Mission) -> Mission:
        """Run a script and take in every tick of rt meanwhile."""
        for doing in script:
            for row in self._ticks.drain():
                self.rows.append(row.copy())
            yield doing
        return ""

    @property
    def lost_ticks(self) -> int:
        return self._ticks.lost
