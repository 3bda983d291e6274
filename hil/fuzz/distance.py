"""Distances of capsules to capsules, half-spaces and boxes, for many configurations at once, in numpy.

Written out here rather than asked of coal, because the gate asks coal; a test holds both together.
"""

import numpy as np

from hil.fuzz.arm import CheckedArm, Frames, Segment, segment_angle_free
from runtime.cell import Box, HalfSpace

TINY = 1e-12
BOX_STEPS = 40  # golden section steps: the interval shrinks to 5e-9 of its length


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)


def between_segments(p1: np.ndarray, q1: np.ndarray, p2: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """(n,) distance [m] between segments p1-q1 and p2-q2, each (n, 3) (Ericson, Real-Time Collision Detection, 5.1.9)."""
    d1, d2, r = q1 - p1, q2 - p2, p1 - p2
    a, e, f = _dot(d1, d1), _dot(d2, d2), _dot(d2, r)
    b, c = _dot(d1, d2), _dot(d1, r)
    a, e = np.maximum(a, TINY), np.maximum(e, TINY)
    denominator = a * e - b * b
    safe = np.where(denominator > TINY, denominator, 1.0)
    s = np.where(denominator > TINY, np.clip((b * f - c * e) / safe, 0.0, 1.0), 0.0)
    t = (b * s + f) / e
    outside = np.clip(t, 0.0, 1.0)
    s = np.where(t == outside, s, np.clip((b * outside - c) / a, 0.0, 1.0))
    gap = r + s[:, None] * d1 - outside[:, None] * d2
    return np.sqrt(_dot(gap, gap))


def point_to_box(point: np.ndarray, box: Box) -> np.ndarray:
    """(n,) distance [m] of points (n, 3) to a box; inside it is negative, by how deep."""
    beyond = np.abs(point - np.array(box.center_m)) - np.array(box.size_m) / 2.0
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    return outside + np.minimum(beyond.max(axis=1), 0.0)


def segment_to_box(start: np.ndarray, end: np.ndarray, box: Box) -> np.ndarray:
    """(n,) smallest distance [m] between segments and a box: the distance to a convex body is convex along a segment."""
    low, high = np.zeros(len(start)), np.ones(len(start))
    ratio = (np.sqrt(5.0) - 1.0) / 2.0

    def at(s: np.ndarray) -> np.ndarray:
        return point_to_box(start + s[:, None] * (end - start), box)

    for _ in range(BOX_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        nearer_left = at(left) < at(right)
        high = np.where(nearer_left, right, high)
        low = np.where(nearer_left, low, left)
    return np.minimum(at((low + high) / 2.0), np.minimum(at(np.zeros_like(low)), at(np.ones_like(low))))


class Surroundings:
    """Which capsules must keep clear of what, and by how much they do.

    Self pairs and keep-out boxes must keep `clearance_m`; links keep it from half-spaces too, the hand may touch them,
    because that is where it works. Base and first link do not move against the workspace.
    """

    def __init__(
        self, arm: CheckedArm, half_spaces: tuple[HalfSpace, ...], keep_out: tuple[Box, ...], clearance_m: float
    ) -> None:
        self._arm, self._clearance_m = arm, clearance_m
        self._half_spaces, self._keep_out = half_spaces, keep_out
        segments = arm.segments
        self.pairs = [
            (first, second)
            for i, first in enumerate(segments)
            for second in segments[i + 1 :]
            if segment_angle_free(first, second)
        ]
        self.moving = [one for one in segments if one.joint > 1]

    def worst(self, frames: Frames) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """(n,) slack [m] of the nearest pair over what it must keep, (n,) index of its name, and the names."""
        placed = {id(one): self._arm.place(frames, one) for one in self._arm.segments}
        n = frames.origins.shape[1]
        worst, which = np.full(n, np.inf), np.zeros(n, dtype=np.int32)
        names: list[str] = []

        def take(name: str, rows: np.ndarray, slack: np.ndarray) -> None:
            nearer = slack < worst[rows]
            worst[rows[nearer]], which[rows[nearer]] = slack[nearer], len(names)
            names.append(name)

        for first, second in self.pairs:
            rows, slack = self._pair(placed[id(first)], placed[id(second)], first, second)
            take(f"{first.name} and {second.name}", rows, slack)
        every = np.arange(n)
        for one in self.moving:
            start, end = placed[id(one)]
            for half in self._half_spaces:
                depth = np.minimum(start @ np.array(half.normal), end @ np.array(half.normal)) - half.offset_m
                keep = 0.0 if one.tool else self._clearance_m
                take(f"{one.name} and {half.name}", every, depth - one.radius_m - keep)
            for box in self._keep_out:
                far = point_to_box((start + end) / 2.0, box) - np.linalg.norm(end - start, axis=1) / 2.0
                rows = np.flatnonzero(far < one.radius_m + self._clearance_m + NEAR_M)
                gap = segment_to_box(start[rows], end[rows], box)
                take(f"{one.name} and {box.name}", rows, gap - one.radius_m - self._clearance_m)
        return worst, which, names

    def _pair(
        self, one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], first: Segment, second: Segment
    ) -> tuple[np.ndarray, np.ndarray]:
        keep = first.radius_m + second.radius_m + self._clearance_m
        # Middle to middle, less both half lengths, is a lower bound: most rows need no more than that.
        halves = (np.linalg.norm(first.end_m - first.start_m) + np.linalg.norm(second.end_m - second.start_m)) / 2.0
        middle = (one[0] + one[1] - other[0] - other[1]) / 2.0
        rows = np.flatnonzero(_dot(middle, middle) < (keep + halves + NEAR_M) ** 2)
        return rows, between_segments(one[0][rows], one[1][rows], other[0][rows], other[1][rows]) - keep


NEAR_M = 0.001  # pairs farther than this from what they must keep are not worked out
