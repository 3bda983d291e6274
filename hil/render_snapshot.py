"""Pictures of the scene as PNG files, to look at."""

import struct
import zlib
from pathlib import Path

import numpy as np

from hil.plant import World
from hil.render_image import DEPTH_SCALE_M, SceneRenderer
from hil.scenes.state import fill_scene_state, scene_state_dtype
from runtime.cell import Cell
from runtime.rows import frame_dtype

_DEPTH_SHOWN_M = 2.0  # white in the depth picture


def write_snapshots(cell: Cell, renderer: SceneRenderer, directory: Path, seed: int | None) -> list[Path]:
    """Render every camera once, arms at home and objects by the seed. Returns the files: colour and depth per camera."""
    world = World(cell, seed)
    row = np.zeros(1, scene_state_dtype(world.model))[0]
    fill_scene_state(row, world)
    renderer.set_state(row)
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, camera in cell.cameras.items():
        dtype = frame_dtype(camera.image.width_px, camera.image.height_px, depth=True, infrared=False)
        frame = np.zeros(1, dtype)[0]
        renderer.render(name, frame)
        depth = np.clip(frame["depth"] * (255 * DEPTH_SCALE_M / _DEPTH_SHOWN_M), 0, 255).astype(np.uint8)
        for stream, image in (("color", frame["color"]), ("depth", depth)):
            path = directory / f"{name}.{stream}.png"
            path.write_bytes(png(image))
            written.append(path)
    return written


def png(image: np.ndarray) -> bytes:
    """An 8 bit image, grey (h, w) or RGB (h, w, 3), as a PNG file."""
    height, width = image.shape[:2]
    color_type = 2 if image.ndim == 3 else 0

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = image.reshape(height, -1)
    filtered = np.concatenate((np.zeros((height, 1), np.uint8), rows), axis=1)  # filter type 0 before each row
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6))
        + chunk(b"IEND", b"")
    )
