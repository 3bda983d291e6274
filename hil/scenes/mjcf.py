"""Small pieces of MuJoCo XML that the scene and the arm's own model share."""

import math
from collections.abc import Sequence

import numpy as np

from hil.scenes.fr3 import LinkInertia


def vector(values: Sequence[float] | np.ndarray) -> str:
    """Numbers as an XML attribute, with nothing lost."""
    return " ".join(repr(float(value)) for value in values)


def quat_about_x(angle_rad: float) -> tuple[float, float, float, float]:
    return (math.cos(angle_rad / 2), math.sin(angle_rad / 2), 0.0, 0.0)


def quat_about_z(angle_rad: float) -> tuple[float, float, float, float]:
    return (math.cos(angle_rad / 2), 0.0, 0.0, math.sin(angle_rad / 2))


def inertial(link: LinkInertia) -> str:
    return inertial_of(link.mass_kg, np.array(link.center_m), np.diag(link.inertia_kg_m2))


def inertial_of(mass_kg: float, center_m: np.ndarray, matrix_kg_m2: np.ndarray) -> str:
    """<inertial> of a body: centre (3,) and inertia (3, 3) about it, in the body's axes."""
    m = matrix_kg_m2
    values = (m[0, 0], m[1, 1], m[2, 2], m[0, 1], m[0, 2], m[1, 2])
    return f'<inertial pos="{vector(center_m)}" mass="{mass_kg!r}" fullinertia="{vector(values)}"/>'
