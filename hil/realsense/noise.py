"""Read noise of an image sensor. Renders of a scene at rest are equal to the byte; pictures of a real sensor never are,
and the driver takes pictures that never change for a frozen camera."""

import numpy as np

_PLANE_BYTES = 1 << 20
_SPARSITY = 8  # one value in eight flips its lowest bit


class SensorNoise:
    """Flips lowest bits by a seeded pattern that moves with every picture (a fresh draw would cost 5 ms a picture)."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._plane = np.zeros(0, np.uint8)

    def add(self, color: np.ndarray) -> np.ndarray:
        """A copy of the picture, uint8 of any shape, in which some values differ by one."""
        flat = np.ascontiguousarray(color).reshape(-1)
        if self._plane.size < flat.size + _PLANE_BYTES:
            draw = self._generator.integers(0, _SPARSITY, flat.size + _PLANE_BYTES, dtype=np.uint8)
            self._plane = (draw == 0).astype(np.uint8)
        start = int(self._generator.integers(0, _PLANE_BYTES))
        return np.bitwise_xor(flat, self._plane[start : start + flat.size]).reshape(color.shape)
