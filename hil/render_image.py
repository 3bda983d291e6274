"""Pictures of the scene: colour, depth and infrared of one camera at a time, written straight into a frame record."""

import mujoco
import numpy as np

from hil.render_gl import Backend, open_context
from hil.scenes.state import apply_scene_state
from hil.scenes.table import build_scene
from runtime.cell import Cell

DEPTH_SCALE_M = 0.001
_MAX_GEOMS = 1000
# Shadows cost four times the rest (software OpenGL); nothing here is glossy.
_FLAGS_OFF = ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_FOG", "mjRND_HAZE")


class SceneRenderer:
    """Renders the cameras of an emulated cell. One per process (it owns the OpenGL context).

    Raises:
        RenderError: no OpenGL context of this backend.
    """

    def __init__(self, cell: Cell, backend: Backend) -> None:
        self.model = mujoco.MjModel.from_xml_string(build_scene(cell))
        self._data = mujoco.MjData(self.model)
        limits = self.model.vis.global_
        self._gl = open_context(backend, limits.offwidth, limits.offheight)
        self._context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(self.model, maxgeom=_MAX_GEOMS)
        for flag in _FLAGS_OFF:
            self._scene.flags[getattr(mujoco.mjtRndFlag, flag)] = 0
        self._option, self._perturb = mujoco.MjvOption(), mujoco.MjvPerturb()
        extent = self.model.stat.extent
        self._near, self._far = (float(self.model.vis.map.znear * extent), float(self.model.vis.map.zfar * extent))
        self._cameras, self._buffers = {}, {}
        for name, camera in cell.cameras.items():
            view = mujoco.MjvCamera()
            view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self.model.camera(name).id
            width, height = camera.image.width_px, camera.image.height_px
            self._cameras[name] = (view, mujoco.MjrRect(0, 0, width, height))
            self._buffers[name] = (np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32))

    def set_state(self, row: np.void) -> None:
        """Take the scene's state from a row of `scene_state_dtype`; the next pictures show it."""
        apply_scene_state(row, self._data)
        mujoco.mj_kinematics(self.model, self._data)
        mujoco.mj_camlight(self.model, self._data)

    def render(self, camera: str, frame: np.void) -> None:
        """Fill `color` and, where the record has them, `depth` and `infrared`.

        Colour is RGB; depth is the distance along the camera's z axis in units of `DEPTH_SCALE_M`, 0 where nothing is
        within range; infrared is the picture's brightness. One pass gives all of them.
        """
        view, rect = self._cameras[camera]
        rgb, depth = self._buffers[camera]
        mujoco.mjv_updateScene(
            self.model, self._data, self._option, self._perturb, view, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        mujoco.mjr_render(rect, self._scene, self._context)
        with_depth = "depth" in (frame.dtype.names or ())
        mujoco.mjr_readPixels(rgb, depth if with_depth else None, rect, self._context)
        frame["color"][:] = rgb[::-1]  # OpenGL's rows run upwards
        if with_depth:
            self._metric(depth, frame["depth"])
        if "infrared" in (frame.dtype.names or ()):
            red, green, blue = (rgb[::-1, :, channel].astype(np.uint16) for channel in range(3))
            frame["infrared"][:] = (77 * red + 150 * green + 29 * blue) >> 8  # ITU-R BT.601 luma in 1/256

    def close(self) -> None:
        """Give the OpenGL context back; the renderer is of no use afterwards."""
        self._context.free()
        self._gl.free()

    def _metric(self, buffer: np.ndarray, out: np.ndarray) -> None:
        """Turn the depth buffer (1 near, 0 far, hyperbolic) into units of the depth scale, rounded; in place."""
        nothing = buffer[::-1] <= 0.0
        near, far = self._near, self._far
        buffer *= far - near
        buffer += near
        np.divide(near * far / DEPTH_SCALE_M, buffer, out=buffer)
        buffer += 0.5
        out[:] = buffer[::-1]
        out[nothing] = 0
