"""The process of an emulated camera: the software device, fed from the renderer's ring, and the very same driver.

`python -m hil.realsense.process --cell CELL --instance I --camera NAME`. Reads `scene.NAME.frame`; where no renderer
writes it the camera starts and stays silent, as a real one in which nothing is exposed: no picture is ever invented.
"""

import sys

from drivers.realsense.process import arguments, camera_of, serve
from hil.realsense.camera import EmulatedCamera
from hil.realsense.control import FaultSocket
from hil.realsense.device import Identity, Images
from hil.scenes.table import FIXED_FOVY_DEG, WRIST_FOVY_DEG
from runtime.cell import Camera, load_cell
from runtime.errors import SinewError
from runtime.ring import RingReader
from runtime.rows import frame_dtype

FEED_EVERY_NS = 2_000_000
MAX_AGE_NS = 500_000_000


class Feeder:
    """Moves rendered frames and faults into an emulated camera; `turn` fits `drivers.realsense.process.serve`."""

    def __init__(self, instance: str, name: str, camera: Camera, emulated: EmulatedCamera, faults: FaultSocket) -> None:
        image = camera.image
        dtype = frame_dtype(image.width_px, image.height_px, depth=camera.depth != "off", infrared=camera.infrared)
        self._scene = RingReader(instance, f"scene.{name}.frame", dtype)
        self._camera, self._faults = emulated, faults
        self._last: tuple[int, int] = (0, 0)

    def turn(self, now_ns: int, wall_offset_ns: int) -> int:
        """Feed what is new; returns when to come again [monotonic ns]."""
        for fault in self._faults.poll():
            self._camera.suffer(fault)
        head = self._scene.head
        if head and (self._scene.attached_session, head) != self._last:
            row = self._scene.latest(now_ns, MAX_AGE_NS)  # a renderer that died leaves its last picture behind
            if row is not None:
                self._last = (self._scene.meta.session, self._scene.meta.sequence)
                fields = row.dtype.names or ()
                depth = row["depth"] if "depth" in fields else None
                infrared = row["infrared"] if "infrared" in fields else None
                images = Images(row["color"], depth, infrared)
                self._camera.take(now_ns, int(row["color_number"]), int(row["capture_ns"]), images)
        due_ns = self._camera.deliver(now_ns, wall_offset_ns)
        return now_ns + FEED_EVERY_NS if due_ns is None else min(due_ns, now_ns + FEED_EVERY_NS)


def main() -> int:
    given = arguments("hil.realsense.process")
    try:
        cell = load_cell(given.cell)
        camera = camera_of(cell, given.camera)
        if camera.source != "software":
            raise SinewError(
                f"source '{camera.source}' is not emulated: start it with 'python -m drivers.realsense.process'"
            )
        instance = given.instance or cell.name
        fovy_deg = FIXED_FOVY_DEG if camera.mounted_on is None else WRIST_FOVY_DEG
        emulated = EmulatedCamera(Identity.of_camera(camera, fovy_deg), seed=int(camera.serial) % 2**31)
        faults = FaultSocket(instance, given.camera)
        try:
            feeder = Feeder(instance, given.camera, camera, emulated, faults)
            serve(instance, given.camera, camera, emulated, feeder.turn)
        finally:
            faults.close()
    except SinewError as error:
        print(f"camera {given.camera}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
