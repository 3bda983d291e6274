"""A waypoint file: joint positions or tool poses to go through one after another, at rest at each. Checked at the edge.

schema: sinew.waypoints/1
arm: main                      # may be left out where the cell has one arm
speed: 0.5                     # share of what the active limits profile allows
waypoints:
  - joints_rad: [0, -0.785, 0, -2.356, 0, 1.571, 0.785]
  - pose: {xyz_m: [0.4, 0.1, 0.3], rpy_rad: [3.1416, 0, 0]}    # T_base_ee, reached on a straight line
    duration_s: 2.0            # not shorter than the limits ask; default: as short as they allow
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.cell import Cell, CellError, Joints, Pose, describe_errors, read_yaml
from runtime.errors import SinewError

MAX_WAYPOINTS = 500


class WaypointError(SinewError):
    """A waypoint file is wrong, or asks for what the arm cannot do; the text names file, key, value and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Waypoint(_Part):
    """One place to go to: joint positions [rad], or the pose of the end effector in the arm's base."""

    joints_rad: Joints | None = None
    pose: Pose | None = None
    duration_s: Annotated[float, Field(gt=0, le=120)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Waypoint":
        if (self.joints_rad is None) == (self.pose is None):
            raise ValueError("give either 'joints_rad' or 'pose'")
        return self


class WaypointFile(_Part):
    """The checked file."""

    schema_: Literal["sinew.waypoints/1"] = Field(alias="schema")
    arm: str | None = None
    speed: Annotated[float, Field(ge=0.05, le=1)] = 0.5
    waypoints: tuple[Waypoint, ...] = Field(min_length=1, max_length=MAX_WAYPOINTS)


def load_waypoints(path: Path) -> WaypointFile:
    """Load and check a waypoint file (YAML or JSON).

    Raises:
        WaypointError: every finding in a line, with file, key, value and what is allowed.
    """
    try:
        data = read_yaml(path)
    except CellError as error:
        raise WaypointError(str(error)) from error
    if not isinstance(data, dict):
        raise WaypointError(f"{path}: a waypoint file is a mapping of keys, this is {type(data).__name__}")
    try:
        return WaypointFile.model_validate(data)
    except ValidationError as error:
        raise WaypointError(describe_errors(error, str(path), WaypointFile)) from error


def arm_of(file: WaypointFile, path: Path, cell: Cell) -> str:
    """The arm that a file is for. Raises WaypointError where the cell has no such arm, or several and none is named."""
    names = list(cell.arms)
    if file.arm is None and len(names) == 1:
        return names[0]
    if file.arm not in names:
        raise WaypointError(f"{path}: arm: got {file.arm!r}: the arms of cell '{cell.name}' are {names}")
    return file.arm
