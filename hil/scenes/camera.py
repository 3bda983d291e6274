"""The emulated cameras' true geometry: what a calibration should find.

Camera axes are OpenCV's: x right, y down, z forward. Pixel (u, v) = (0, 0) is the centre of the top left pixel, so the
principal point of an image of w x h is ((w - 1) / 2, (h - 1) / 2). No distortion. Depth is along z, from the colour
camera's own viewpoint: depth and colour are aligned by construction.
"""

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from hil.scenes.fr3 import HAND_TURN_RAD
from hil.scenes.table import T_world_pose, build_scene
from runtime.cell import Cell

# MuJoCo's camera looks along its own -z with y up.
_GL_FROM_CV = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera: focal lengths and principal point [px]."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float


@dataclass(frozen=True)
class CameraTruth:
    """Where a camera really is.

    `mounted_on` None: `T_world_camera` holds it and `T_hand_camera` is None; in an arm's base frame it is
    `inv(T_world_base) T_world_camera` (`T_base_camera`). Mounted: `T_hand_camera` in the hand's frame (flange turned by
    -45 degrees about z), `T_flange_camera` in the flange's.
    """

    intrinsics: Intrinsics
    mounted_on: str | None
    T_world_camera: np.ndarray | None
    T_hand_camera: np.ndarray | None

    @property
    def T_flange_camera(self) -> np.ndarray | None:
        """(4, 4), or None for a fixed camera."""
        return None if self.T_hand_camera is None else _T_flange_hand() @ self.T_hand_camera

    def T_base_camera(self, cell: Cell, arm: str) -> np.ndarray | None:
        """(4, 4) in the base frame of an arm of the cell, or None for a camera that moves."""
        if self.T_world_camera is None:
            return None
        return np.linalg.inv(T_world_pose(cell.arms[arm].T_base_mount)) @ self.T_world_camera


def _T_flange_hand() -> np.ndarray:
    c, s = math.cos(HAND_TURN_RAD), math.sin(HAND_TURN_RAD)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float)


def camera_truth(cell: Cell) -> dict[str, CameraTruth]:
    """The cameras of an emulated cell by name."""
    model = mujoco.MjModel.from_xml_string(build_scene(cell))
    truth = {}
    for name, camera in cell.cameras.items():
        index = model.camera(name).id
        width, height = camera.image.width_px, camera.image.height_px
        focal = height / 2 / math.tan(math.radians(float(model.cam_fovy[index])) / 2)
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.cam_quat[index])
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation.reshape(3, 3) @ _GL_FROM_CV, model.cam_pos[index]
        mounted = camera.mounted_on is not None
        truth[name] = CameraTruth(
            intrinsics=Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2),
            mounted_on=camera.mounted_on,
            T_world_camera=None if mounted else T,
            T_hand_camera=T if mounted else None,
        )
    return truth
