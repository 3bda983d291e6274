"""The scene `table`: arms on a table, objects to handle, cameras around; built from the cell file as MuJoCo XML.

The world frame is the cell's: z up, z = 0 the table top. The layout is a function of the cell file alone; only the
objects' poses come from a seed. Cameras bear the cell file's names.
"""

import math

import mujoco
import numpy as np

from hil.scenes.arm_mjcf import arm_body, brakes, hand_mechanics
from hil.scenes.mjcf import vector
from runtime.cell import Camera, Cell, Pose
from runtime.errors import SinewError

# Objects that lie loose on the table: MuJoCo geom attributes, height of the centre when standing [m].
MOVABLES: dict[str, tuple[str, float]] = {
    "cube": ('type="box" size=".025 .025 .025" mass=".12" rgba=".90 .32 .10 1"', 0.025),
    "block": ('type="box" size=".018 .030 .020" mass=".10" rgba=".95 .78 .15 1"', 0.020),
    "cylinder": ('type="cylinder" size=".022 .035" mass=".10" rgba=".15 .42 .85 1"', 0.035),
}
GOAL = "goal"  # a flat disc to put things on: nothing to bump into
GOAL_RADIUS_M = 0.06
OBJECTS: tuple[str, ...] = (*MOVABLES, GOAL)

_REACH_M = 0.5  # the work area's centre lies this far in front of each base
_AREA_HALF_M = (0.12, 0.22)  # half sizes of the area in which objects are put
_SPACING_M = 0.11  # least distance between two objects' centres
_PLACE_TRIES = 2000

# Vertical field of view [deg]: fixed cameras between a D435's 42 and a D455's 65, on the wrist a D405's.
FIXED_FOVY_DEG = 50.0
WRIST_FOVY_DEG = 58.0
_FIXED_AZIMUTH_DEG = (0.0, 60.0, -60.0, 120.0, -120.0, 180.0)  # around the work area, 0 faces the first arm
_WRIST_TURN_DEG = (0.0, 180.0, 90.0, -90.0)  # about the hand's z axis
_WRIST_TILT_DEG = 10.0


def T_world_pose(pose: Pose) -> np.ndarray:
    """(4, 4) of a cell-file pose: rotation Rz(yaw) Ry(pitch) Rx(roll)."""
    roll, pitch, yaw = pose.rpy_rad
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a), math.sin(a)) for a in (roll, pitch, yaw))
    T = np.eye(4)
    T[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    T[:3, 3] = pose.xyz_m
    return T


def quat_of(R: np.ndarray) -> np.ndarray:
    """(4,) unit quaternion w, x, y, z of a rotation matrix (3, 3)."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(R, dtype=float).ravel())
    return quat


def work_center(cell: Cell) -> np.ndarray:
    """(2,) centre of the area in which objects are put, on the table [m, world]: what all arms have in front of them."""
    points = []
    for arm in cell.arms.values():
        T = T_world_pose(arm.T_base_mount)
        points.append((T @ (_REACH_M, 0.0, 0.0, 1.0))[:2])
    return np.mean(points, axis=0)


def build_scene(cell: Cell) -> str:
    """MuJoCo XML of the cell: the same text for the same cell file, whatever the seed."""
    center = work_center(cell)
    hand_of = {hand.arm: name for name, hand in cell.hands.items()}
    wrist: dict[str, list[str]] = {name: [] for name in cell.arms}
    fixed: list[str] = []
    for name, camera in cell.cameras.items():
        if camera.mounted_on is None:
            fixed.append(_fixed_camera(name, camera, center, len(fixed)))
        else:
            wrist[camera.mounted_on].append(_wrist_camera(name, camera, len(wrist[camera.mounted_on])))
    arms: list[str] = []
    equalities: list[str] = []
    servos: list[str] = []
    for index, (name, arm) in enumerate(cell.arms.items()):
        T = T_world_pose(arm.T_base_mount)
        body = arm_body(
            name, index, len(cell.arms), hand=hand_of.get(name), load=arm.load, on_hand="".join(wrist[name])
        )
        arms.append(
            f'<body name="arm.{name}.link0" pos="{vector(T[:3, 3])}" quat="{vector(quat_of(T[:3, :3]))}">{body}</body>'
        )
        equalities.append(brakes(name))
    for name in cell.hands:
        coupling, actuators = hand_mechanics(name)
        equalities.append(coupling)
        servos.append(actuators)
    width = max((camera.image.width_px for camera in cell.cameras.values()), default=640)
    height = max((camera.image.height_px for camera in cell.cameras.values()), default=480)
    # With 10 line-search iterations the solver gave up when fingers met a cube and threw it off the table; with 50 it
    # needs 6 Newton steps there.
    return f"""<mujoco model="{cell.name}">
<compiler angle="radian" autolimits="true"/>
<option timestep="0.001" integrator="implicitfast" cone="elliptic" impratio="10" solver="Newton" iterations="50"
  ls_iterations="50" jacobian="dense"/>
<visual>
  <global offwidth="{width}" offheight="{height}"/><quality shadowsize="0" offsamples="0"/><map znear="0.01" zfar="10"/>
  <headlight ambient=".35 .35 .37" diffuse=".25 .25 .25" specular="0 0 0"/>
</visual>
<statistic center="{vector(center)} 0.2" extent="1"/>
<default><geom contype="1" conaffinity="1" solref=".005 1" solimp=".95 .99 .0005"/></default>
<worldbody>
  <light directional="true" castshadow="false" pos="0 0 3" dir=".35 .25 -1" diffuse=".55 .55 .52" specular=".1 .1 .1"/>
  <light directional="true" castshadow="false" pos="0 0 3" dir="-.6 -.5 -1" diffuse=".20 .20 .24" specular="0 0 0"/>
{_furniture(cell, center)}
{"".join(fixed)}
{"".join(arms)}
{_objects(center)}
</worldbody>
<equality>{"".join(equalities)}</equality>
<actuator>{"".join(servos)}</actuator>
</mujoco>
"""


def _furniture(cell: Cell, center: np.ndarray) -> str:
    bases = np.array([arm.T_base_mount.xyz_m[:2] for arm in cell.arms.values()])
    low = np.minimum(bases.min(axis=0) - 0.25, center - np.array(_AREA_HALF_M) - (0.25, 0.30))
    high = np.maximum(bases.max(axis=0) + 0.25, center + np.array(_AREA_HALF_M) + (0.25, 0.30))
    middle, half = (low + high) / 2, (high - low) / 2
    return (
        f'<geom name="table" type="box" size="{vector(half)} .02" pos="{vector(middle)} -.02" rgba=".72 .62 .50 1"'
        ' condim="4" friction=".8 .005 .0001"/>'
        '<geom name="floor" type="plane" size="3 3 .1" pos="0 0 -.75" rgba=".36 .39 .43 1"/>'
    ) + "".join(  # walls give the background a depth; a sky texture would cost a quarter of the rendering
        f'<geom type="plane" size="3 1.75 .1" pos="{3 * math.sin(turn)!r} {-3 * math.cos(turn)!r} 1"'
        f' xyaxes="{math.cos(turn)!r} {math.sin(turn)!r} 0 0 0 1" rgba=".56 .59 .62 1" contype="0" conaffinity="0"/>'
        for turn in (0.0, math.pi / 2, math.pi, -math.pi / 2)
    )


def _objects(center: np.ndarray) -> str:
    parts = []
    for index, (name, (shape, height_m)) in enumerate(MOVABLES.items()):
        start = (*(center + (0.0, 0.12 * (index - 1))), height_m)
        parts.append(
            f'<body name="{name}" pos="{vector(start)}"><freejoint name="{name}"/>'
            f'<geom name="{name}" {shape} condim="4" friction=".8 .005 .0001"/></body>'
        )
    parts.append(
        f'<body name="{GOAL}" mocap="true" pos="{vector(center)} .001"><geom name="{GOAL}" type="cylinder"'
        f' size="{GOAL_RADIUS_M} .001" rgba=".20 .70 .32 1" contype="0" conaffinity="0"/></body>'
    )
    return "".join(parts)


def _fixed_camera(name: str, camera: Camera, center: np.ndarray, index: int) -> str:
    azimuth = math.radians(_FIXED_AZIMUTH_DEG[index % len(_FIXED_AZIMUTH_DEG)])
    height = 0.80 + 0.15 * (index // len(_FIXED_AZIMUTH_DEG))
    out = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    middle = np.array([*center, 0.0])
    eye = middle + 1.0 * out + (0, 0, height)
    back = eye - (middle - 0.20 * out + (0, 0, 0.28))  # a camera looks along its own -z
    back /= np.linalg.norm(back)
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    stand = eye + 0.03 * back
    return (
        _camera(name, camera, eye, right, up, FIXED_FOVY_DEG)
        + f'<geom type="box" size=".045 .012 .012" pos="{vector(stand)}" rgba=".3 .3 .32 1" contype="0" conaffinity="0"'
        f' quat="{vector(quat_of(np.stack([right, up, back], axis=1)))}"/>'
    )


def _wrist_camera(name: str, camera: Camera, index: int) -> str:
    turn = math.radians(_WRIST_TURN_DEG[index % len(_WRIST_TURN_DEG)])
    R = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    tilt = math.radians(_WRIST_TILT_DEG)
    eye, right = R @ (0.066, 0.0, 0.004), R @ (0.0, 1.0, 0.0)
    up = R @ (math.cos(tilt), 0.0, math.sin(tilt))
    back = np.cross(right, up)
    return (
        _camera(name, camera, eye, right, up, WRIST_FOVY_DEG)
        + f'<geom type="box" size=".021 .011 .011" pos="{vector(eye + 0.013 * back)}" rgba=".3 .3 .32 1" mass="0"'
        f' contype="0" conaffinity="0" quat="{vector(quat_of(np.stack([right, up, back], axis=1)))}"/>'
    )


def _camera(name: str, camera: Camera, eye: np.ndarray, right: np.ndarray, up: np.ndarray, fovy_deg: float) -> str:
    return (
        f'<camera name="{name}" pos="{vector(eye)}" xyaxes="{vector(right)} {vector(up)}" fovy="{fovy_deg}"'
        f' resolution="{camera.image.width_px} {camera.image.height_px}"/>'
    )


def random_poses(cell: Cell, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Poses of all objects: (position (3,) [m, world], quaternion (4,) w, x, y, z), apart from each other, upright.

    Raises:
        SinewError: no arrangement was found (the area is too small for the objects: a fault of this file's table).
    """
    center, half = work_center(cell), np.array(_AREA_HALF_M)
    placed: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in OBJECTS:
        height = MOVABLES[name][1] if name in MOVABLES else 0.001
        for _ in range(_PLACE_TRIES):
            xy = center + rng.uniform(-half, half)
            if all(np.linalg.norm(xy - other[:2]) >= _SPACING_M for other, _ in placed.values()):
                break
        else:
            raise SinewError(f"scene 'table': no free place for '{name}' after {_PLACE_TRIES} tries")
        yaw = rng.uniform(-math.pi, math.pi)
        placed[name] = (np.array([*xy, height]), np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]))
    return placed
