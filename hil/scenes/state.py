"""The row that says how the scene stands: written by the emulated cell at 100 Hz or more, read by the renderer and benches.

Ring `scene.state`; the row's stamp is the monotonic time at which the world stood so.
"""

import mujoco
import numpy as np

from hil.plant import World
from hil.scenes.table import GOAL, OBJECTS

RING_NAME = "scene.state"
SLOTS = 512


def scene_state_dtype(model: mujoco.MjModel) -> np.dtype:
    """Fields of the row for this scene's model.

    `world_time_ns`: simulated time since the start. `qpos`: MuJoCo's generalised position (nq,). `objects`: pose of
    each of `OBJECTS` in that order, position [m, world] and quaternion w, x, y, z (7).
    """
    return np.dtype([("world_time_ns", "<i8"), ("qpos", "<f8", (model.nq,)), ("objects", "<f8", (len(OBJECTS), 7))])


def fill_scene_state(row: np.void, world: World) -> None:
    """Write the world's present state into a row of `scene_state_dtype(world.model)`."""
    row["world_time_ns"] = world.time_ns
    row["qpos"] = world.data.qpos
    for index, (position, quat) in enumerate(world.objects().values()):
        row["objects"][index, :3] = position
        row["objects"][index, 3:] = quat


def apply_scene_state(row: np.void, data: mujoco.MjData) -> None:
    """Set positions (not velocities) of `data` from a row: what a renderer needs before `mj_kinematics`."""
    data.qpos[:] = row["qpos"]
    goal = row["objects"][OBJECTS.index(GOAL)]
    data.mocap_pos[0], data.mocap_quat[0] = goal[:3], goal[3:]


def object_poses(row: np.void) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The objects of a row by name: position (3,) [m, world], quaternion (4,) w, x, y, z."""
    return {name: (row["objects"][i, :3].copy(), row["objects"][i, 3:].copy()) for i, name in enumerate(OBJECTS)}
