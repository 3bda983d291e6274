"""Collision thresholds and load: what is set on the robot at every connect, the newest request included."""

from dataclasses import dataclass

import franky
import numpy as np
from pydantic import ValidationError

from drivers.franka.errors import ArmError
from runtime.cell import Collision, Load
from runtime.rows import JOINTS, RequestKind


class SettingsError(ArmError):
    """Values that no robot may be set to."""


@dataclass(frozen=True)
class Settings:
    """From the cell file, until a request replaces one of them."""

    collision: Collision
    load: Load

    def requested(self, kind: int, values: list[float]) -> "Settings":
        """These settings with those of a SET_COLLISION or SET_LOAD request (`runtime.rows.RequestKind`) in their place.

        Raises:
            SettingsError: a threshold that is not positive, a load that cannot be; names the value.
        """
        try:
            if kind == RequestKind.SET_COLLISION:
                torque, force = values[:JOINTS], values[JOINTS : JOINTS + 6]
                if not all(value > 0.0 for value in torque + force):  # false for NaN too
                    raise SettingsError(f"collision thresholds must be above 0: torques {torque}, forces {force}")
                return Settings(Collision(torque_nm=tuple(torque), force_n=tuple(force)), self.load)
            inertia = np.array(values[4:13]).reshape(3, 3)
            diagonal = np.diagonal(inertia)
            if not np.array_equal(inertia, np.diag(diagonal)):
                raise SettingsError(f"the load's inertia must be diagonal (its principal axes), not {inertia.tolist()}")
            load = Load(mass_kg=values[0], center_m=tuple(values[1:4]), inertia_kg_m2=tuple(diagonal.tolist()))
            return Settings(self.collision, load)
        except ValidationError as error:
            found = "; ".join(f"{one['loc'][0]} = {one['input']}: {one['msg']}" for one in error.errors())
            raise SettingsError(found) from None


def apply_settings(robot: franky.Robot, settings: Settings) -> str | None:
    """Set them; returns the robot's refusal (it refuses in some modes), or None."""
    try:
        robot.set_collision_behavior(list(settings.collision.torque_nm), list(settings.collision.force_n))
        inertia = np.diag(settings.load.inertia_kg_m2).flatten(order="F")
        robot.set_load(settings.load.mass_kg, list(settings.load.center_m), list(inertia))
    except franky.CommandException as error:
        return f"the robot did not take collision thresholds and load: {error}"
    return None
