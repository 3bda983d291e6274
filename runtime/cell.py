"""The cell file: one physical set-up, checked once at the edge.

YAML under launch/cells/. Every error names the file, the key, the value and what is allowed. The models are frozen;
nothing downstream looks at loose dictionaries.
"""

import difflib
import ipaddress
import re
import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from runtime.errors import SinewError

Joints = Annotated[tuple[float, ...], Field(min_length=7, max_length=7)]
Vector3 = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class CellError(SinewError):
    """A cell or task file is wrong; the text lists every finding with file, key, value and allowed set."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Pose(_Part):
    """A rigid transform: translation [m] and roll-pitch-yaw about fixed axes x, y, z [rad]."""

    xyz_m: Vector3 = (0.0, 0.0, 0.0)
    rpy_rad: Vector3 = (0.0, 0.0, 0.0)


class Load(_Part):
    """What the flange carries besides the hand: mass [kg], centre in the flange frame [m], inertia diagonal [kg m2]."""

    mass_kg: Annotated[float, Field(ge=0, le=10)] = 0.0
    center_m: Vector3 = (0.0, 0.0, 0.0)
    inertia_kg_m2: Vector3 = (0.0, 0.0, 0.0)


class Collision(_Part):
    """Thresholds set on the robot: above them it stops by its own reflex."""

    torque_nm: Joints = (40.0, 40.0, 38.0, 38.0, 32.0, 30.0, 24.0)
    force_n: Annotated[tuple[float, ...], Field(min_length=6, max_length=6)] = (40.0, 40.0, 40.0, 50.0, 50.0, 50.0)


class Impedance(_Part):
    """Stiffness and damping of the impedance modes, and how far the reference may lead the arm (it bounds the pull)."""

    joint_stiffness_nm_rad: Joints = (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0)
    joint_damping_nms_rad: Joints = (50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0)
    translation_stiffness_n_m: Annotated[float, Field(gt=0, le=3000)] = 600.0
    rotation_stiffness_nm_rad: Annotated[float, Field(gt=0, le=300)] = 40.0
    clip_joint_rad: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    clip_m: Annotated[float, Field(gt=0, le=0.1)] = 0.05
    clip_rad: Annotated[float, Field(gt=0, le=0.5)] = 0.2


class Arm(_Part):
    """One robot arm and how its driver treats it."""

    driver: Literal["franka"]
    host: str
    robot: Literal["fr3"] = "fr3"
    T_base_mount: Pose = Pose()  # the robot's base in the cell's world frame
    T_flange_ee: Pose  # compared with what the robot reports: a wrong frame moves the tool by 103 mm
    load: Load = Load()
    home_q_rad: Joints
    collision: Collision = Collision()
    command_mode: Literal["joint_velocity", "joint_impedance", "cartesian_impedance"] = "joint_velocity"
    command_period_ms: Annotated[float, Field(ge=1, le=100)] = 5.0
    watchdog_ms: Annotated[float, Field(ge=10, le=500)] = 50.0
    impedance: Impedance = Impedance()
    position_gain_1_s: Annotated[float, Field(gt=0, le=20)] = 5.0  # K of v = dq + K (q* - q_d)
    speed_factor: Fraction = 0.2  # of GOTO motions
    stop_group: str = "all"
    cpu: int | None = None
    priority: Annotated[int, Field(ge=1, le=90)] = 61

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            if not re.fullmatch(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*", value):
                raise ValueError("must be an IP address or a host name") from None
            if re.fullmatch(r"[\d.]+", value):
                raise ValueError("looks like an IP address but is none") from None
        return value


class Hand(_Part):
    """A Franka Hand: reached at the same address as the arm that carries it."""

    driver: Literal["franka_hand"]
    arm: str
    read_period_ms: Annotated[float, Field(ge=20, le=1000)] = 100.0


class Image(_Part):
    """A stream of a camera."""

    width_px: Annotated[int, Field(ge=64, le=1920)] = 640
    height_px: Annotated[int, Field(ge=48, le=1200)] = 480
    fps: Literal[5, 6, 15, 30, 60, 90] = 30


class Camera(_Part):
    """One RealSense camera. `source` is the only thing that differs between live, recorded and emulated ones."""

    driver: Literal["realsense"]
    source: Literal["live", "file", "software"]
    serial: Annotated[str, Field(pattern=r"^\d{6,16}$")]
    file: str | None = None  # of source `file`: a .db3 recording
    image: Image = Image()
    depth: Literal["off", "raw", "aligned"] = "aligned"
    infrared: bool = False
    exposure_us: Positive | None = None  # None: settle by auto-exposure in warm-up, then lock
    warmup_s: Annotated[float, Field(ge=0, le=30)] = 1.0
    stall_periods: Annotated[float, Field(ge=2, le=100)] = 3.0
    latency_ms: Annotated[float, Field(ge=0, le=500)] = 0.0  # mid-exposure to stamp, from calibration
    slots: Annotated[int, Field(ge=4, le=64)] = 8
    mounted_on: str | None = None  # an arm: moves with its hand; None: fixed in the cell

    @model_validator(mode="after")
    def _file_needs_path(self) -> "Camera":
        if self.source == "file" and not self.file:
            raise ValueError("source 'file' needs the key 'file' (a .db3 recording)")
        return self


class LimitsProfile(_Part):
    """What the gate allows, tightening the connected robot's own limits (fractions of them; never looser)."""

    joint_velocity_fraction: Fraction = 0.5
    joint_acceleration_fraction: Fraction = 0.5
    joint_jerk_fraction: Fraction = 0.5
    joint_margin_rad: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    tcp_speed_m_s: Annotated[float, Field(gt=0, le=3.0)] = 0.25
    elbow_speed_m_s: Annotated[float, Field(gt=0, le=3.0)] = 0.25
    tcp_rotation_rad_s: Annotated[float, Field(gt=0, le=2.5)] = 1.0
    jump_shape_rad: Positive = 0.02  # step against the last command that is still blended
    jump_stop_rad: Positive = 0.2  # ... and the one that stops
    tracking_error_rad: Positive = 0.1
    external_force_n: Positive = 40.0
    external_torque_nm: Positive = 15.0
    window_displacement_m: Positive = 0.1  # TCP travel in any 250 ms
    min_singular_value: Annotated[float, Field(ge=0, le=0.5)] = 0.04
    clearance_m: Annotated[float, Field(ge=0, le=0.2)] = 0.02
    max_command_age_ms: Annotated[float, Field(gt=0, le=500)] = 50.0
    max_consecutive_shapes: Annotated[int, Field(ge=1, le=10_000)] = 100


class Box(_Part):
    """An axis-aligned box in the arm's base frame [m]."""

    name: str
    center_m: Vector3
    size_m: Vector3

    @field_validator("size_m")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) <= 0:
            raise ValueError("every side must be positive")
        return value


class HalfSpace(_Part):
    """Points x with normal . x >= offset are allowed; base frame, unit normal, offset [m]."""

    name: str
    normal: Vector3
    offset_m: float

    @field_validator("normal")
    @classmethod
    def _unit(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if abs(sum(part * part for part in value) - 1.0) > 1e-6:
            raise ValueError("must be a unit vector")
        return value


class Workspace(_Part):
    """Where tool and elbow may be, per arm, in its base frame."""

    inside: tuple[Box, ...] = ()  # the TCP must be inside one of them, if any is given
    half_spaces: tuple[HalfSpace, ...] = ()
    keep_out: tuple[Box, ...] = ()


class Limits(_Part):
    """The active profile's name and the profiles to choose from."""

    profile: str = "collaborative"
    profiles: dict[str, LimitsProfile] = Field(default_factory=lambda: {"collaborative": LimitsProfile()})
    workspace: dict[str, Workspace] = Field(default_factory=dict)

    @property
    def active(self) -> LimitsProfile:
        return self.profiles[self.profile]


class Loop(_Part):
    """The rt process."""

    rate_hz: Annotated[int, Field(ge=50, le=1000)] = 200
    cpu: int | None = None
    priority: Annotated[int, Field(ge=1, le=90)] = 60
    stop_gap_ms: Annotated[float, Field(ge=10, le=1000)] = 100.0  # a longer gap between ticks is a stop

    @field_validator("rate_hz")
    @classmethod
    def _whole_periods(cls, value: int) -> int:
        if 1000 % value:
            raise ValueError("must divide 1000: the robot's clock is 1 kHz (50, 100, 125, 200, 250, 500, 1000)")
        return value


class Emulation(_Part):
    """What the emulated cell is made of; absent on a real cell."""

    scene: Literal["table"] = "table"
    seed: Annotated[int, Field(ge=0)] = 0
    profile: Literal["lockstep", "paced", "strict"] = "paced"


class Cell(_Part):
    """One set-up: arms, hands, cameras, limits."""

    schema_: Literal["sinew.cell/1"] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    emulated: Emulation | None = None
    arms: dict[str, Arm] = Field(min_length=1)
    hands: dict[str, Hand] = Field(default_factory=dict)
    cameras: dict[str, Camera] = Field(default_factory=dict)
    limits: Limits = Limits()
    loop: Loop = Loop()

    @model_validator(mode="after")
    def _consistent(self) -> "Cell":
        for kind, devices in (("arms", self.arms), ("hands", self.hands), ("cameras", self.cameras)):
            for name in devices:
                if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,23}", name):
                    raise ValueError(f"{kind}.{name}: a device name is a-z, 0-9, '_', '-', at most 24 characters")
        for name, hand in self.hands.items():
            if hand.arm not in self.arms:
                raise ValueError(f"hands.{name}.arm: '{hand.arm}' is no arm of this cell: {sorted(self.arms)}")
        for name, camera in self.cameras.items():
            if camera.mounted_on is not None and camera.mounted_on not in self.arms:
                raise ValueError(f"cameras.{name}.mounted_on: '{camera.mounted_on}' is no arm: {sorted(self.arms)}")
            if camera.source == "software" and self.emulated is None:
                raise ValueError(f"cameras.{name}.source: 'software' needs an emulated cell (key 'emulated')")
        hosts = [arm.host for arm in self.arms.values()]
        for host in hosts:
            if hosts.count(host) > 1:
                raise ValueError(f"arms: host '{host}' is used by more than one arm")
        serials = [camera.serial for camera in self.cameras.values()]
        for serial in serials:
            if serials.count(serial) > 1:
                raise ValueError(f"cameras: serial '{serial}' is used by more than one camera")
        if self.limits.profile not in self.limits.profiles:
            raise ValueError(f"limits.profile: '{self.limits.profile}' is none of {sorted(self.limits.profiles)}")
        for arm_name in self.limits.workspace:
            if arm_name not in self.arms:
                raise ValueError(f"limits.workspace.{arm_name}: no such arm: {sorted(self.arms)}")
        return self


_shown = reprlib.Repr()
_shown.maxstring = 80
_shown.maxlist = _shown.maxtuple = 8
_shown.maxlevel = 3


def describe_errors(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """One line per finding: file, key, value, what is allowed; with the nearest known key for a misspelt one."""
    lines = []
    for finding in error.errors():
        path = ".".join(str(part) for part in finding["loc"])
        value = _shown.repr(finding.get("input"))  # bounded: aliases can make a small file's value enormous
        message = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            known = _known_keys(model, finding["loc"][:-1])
            near = difflib.get_close_matches(str(finding["loc"][-1]), known, 1)
            message = (
                f"unknown key; {'did you mean ' + repr(near[0]) + '? ' if near else ''}allowed: {', '.join(known)}"
            )
        elif finding["type"] == "missing":
            message, value = "this key is required", "nothing"
        where = f"{source}: {path}" if path else source
        shown = f": got {value[:80]}" if path else ""
        lines.append(f"{where}{shown}: {message}")
    return "\n".join(lines)


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    current: object = model
    for part in path:
        fields = getattr(current, "model_fields", None)
        if fields is not None and part in fields:
            current = fields[part].annotation
        arguments = getattr(current, "__args__", ())
        models = [one for one in arguments if isinstance(one, type) and issubclass(one, BaseModel)]
        if models:
            current = models[0]
    fields = getattr(current, "model_fields", {})
    return sorted(field.alias or name for name, field in fields.items())


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent surprises: a key written twice is an error."""


def _no_duplicates(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=deep)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key is a plain word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is written twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=deep)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _no_duplicates)

CELLS_DIR = Path(__file__).resolve().parent.parent / "launch" / "cells"
MAX_FILE_BYTES = 1 << 20


def read_yaml(path: Path) -> object:
    """The parsed text of a YAML file; raises CellError when it is absent, too large, or not YAML."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CellError(f"{path}: larger than {MAX_FILE_BYTES} bytes: this is no cell or task file")
        return yaml.load(path.read_text(), Loader=_StrictLoader)  # noqa: S506 a SafeLoader subclass
    except OSError as error:
        raise CellError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CellError(f"{path}: not valid YAML: {error}") from error
    except RecursionError:
        raise CellError(f"{path}: not valid YAML: nested too deeply") from None


def load_cell(name_or_path: str) -> Cell:
    """Load `launch/cells/NAME.yaml`, or the file at a path.

    Raises:
        CellError: no such file (the known cells are listed) or findings, one per line.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = CELLS_DIR / f"{name_or_path}.yaml"
        if not path.is_file():
            known = sorted(one.stem for one in CELLS_DIR.glob("*.yaml"))
            raise CellError(f"no cell '{name_or_path}': known cells are {known}; or give the path of a .yaml file")
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise CellError(f"{path}: a cell file is a mapping of keys, this is {type(data).__name__}")
    try:
        return Cell.model_validate(data)
    except ValidationError as error:
        raise CellError(describe_errors(error, str(path), Cell)) from error
