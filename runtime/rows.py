"""The rows that cross process borders, as numpy structured dtypes, and the codes in them.

Sequence number, session nonce, stamp and schema id are in every slot's header (`runtime/ring.py`); the fields below are
the payload. Units are SI; poses are row-major 4x4 matrices named T_base_x; times are monotonic nanoseconds of the host
unless the name says `robot_time`. Ring names are `<device>.<what>`, e.g. `arm.main.state`, `camera.wrist.frame`.
"""

from enum import IntEnum, IntFlag

import numpy as np

JOINTS = 7


class DriverState(IntEnum):
    """What an arm or hand driver finds its device to be."""

    NOT_READY = 0  # not connected yet, brakes closed, guiding, or a mode in which it cannot move
    OK = 1
    REFLEX = 2
    USER_STOP = 3
    LINK_DEAD = 4
    PLANNER_ERROR = 5


class ArmActivity(IntEnum):
    """What the arm driver is doing."""

    IDLE = 0  # nothing is commanded; the robot holds
    STREAMING = 1  # enabled: command rows of the armed generation act
    STOPPING = 2  # the driver's own stop is running
    GOTO = 3  # a point-to-point joint motion (homing)
    RECOVERING = 4
    CONNECTING = 5


class RobotMode(IntEnum):
    """libfranka's RobotMode, same numbers as on the wire."""

    OTHER = 0
    IDLE = 1
    MOVE = 2
    GUIDING = 3
    REFLEX = 4
    USER_STOPPED = 5
    AUTOMATIC_ERROR_RECOVERY = 6


class CommandMode(IntEnum):
    """How the arm follows the rows of `ARM_COMMAND`."""

    NONE = 0
    JOINT_VELOCITY = 1  # joint velocity streaming: feed-forward dq plus position feedback to q
    JOINT_IMPEDANCE = 2  # joint impedance tracking of q, dq
    CARTESIAN_IMPEDANCE = 3  # Cartesian impedance tracking of T_base_ee


class RejectReason(IntEnum):
    """Why an arm driver's last word refused a command row (`reject_reason` of ARM_STATE: the newest)."""

    NONE = 0
    SESSION = 1  # of another command ring than the one at ENABLE: its writer was restarted
    BEFORE_ENABLE = 2  # written before the ENABLE
    GENERATION = 3  # of an older generation
    MODE = 4  # another command mode than the enabled one
    EXPIRED = 5  # past valid_until_ns, or older than the watchdog allows
    PERIOD = 6  # period_ns outside 1 to 100 ms
    STATE_OLD = 7  # the robot's state is too old to act on
    NOT_FINITE = 8  # NaN or infinity
    POSITION = 9
    VELOCITY = 10
    TORQUE = 11
    POSE = 12  # T_base_ee is no rigid transform
    STEP = 13  # too far from the last accepted command (the first: from q_d)


class RequestKind(IntEnum):
    """What can be asked of a driver (`ARM_REQUEST`, `HAND_REQUEST`)."""

    ENABLE = 1  # accept command rows of `generation` in `mode`
    DISABLE = 2  # stop following and hold
    STOP = 3  # stop now, whatever is running
    RECOVER = 4  # clear a reflex (automatic error recovery), ends in IDLE or a named refusal
    GOTO = 5  # joint motion to `q` at `speed_factor`
    RECONNECT = 6  # build a new connection
    SET_COLLISION = 7  # values[0:7] joint torque [Nm], values[7:13] Cartesian force [N, Nm]
    SET_LOAD = 8  # values[0] mass [kg], values[1:4] centre in flange [m], values[4:13] inertia [kg m2]
    HAND_HOMING = 20
    HAND_MOVE = 21  # values: width [m], speed [m/s]
    HAND_GRASP = 22  # values: width [m], speed [m/s], force [N], epsilon_inner [m], epsilon_outer [m]
    HAND_STOP = 23
    SHUTDOWN = 99  # end the driver process cleanly


class RequestStatus(IntEnum):
    """How the last request went; the sentence is in the driver's event ring."""

    NONE = 0
    RUNNING = 1
    DONE = 2
    REFUSED = 3
    FAILED = 4
    UNSUCCESSFUL = 5  # the hand did what was asked but holds nothing


class CameraPhase(IntEnum):
    """State machine of a camera driver."""

    ABSENT = 0
    STARTING = 1
    WARMUP = 2
    STREAMING = 3
    STALLED = 4
    RESTART = 5
    RESET = 6
    LOST = 7


class FrameQuality(IntFlag):
    """What is wrong with a frame's stamps; 0 is good."""

    GOOD = 0
    STAMP_FALLBACK = 1  # device clock unhealthy: capture stamp is receive stamp minus the median latency
    STAMP_JUMP = 2
    GAP_BEFORE = 4  # frame numbers are missing before this frame
    OUT_OF_ORDER = 8  # an older frame came before this one and was dropped
    NO_DEPTH = 16  # this frameset came without its depth image; the row's depth is zeros
    FROZEN = 32  # the pixels have not changed for several frames although numbers and stamps advance
    NO_INFRARED = 64  # this frameset came without its infrared image; the row's infrared is zeros


class Severity(IntEnum):
    """Of an event row."""

    INFO = 0
    WARNING = 1
    ERROR = 2


def _matrix(name: str) -> tuple[str, str, tuple[int, int]]:
    return (name, "<f8", (4, 4))


def _joints(*names: str) -> list[tuple[str, str, tuple[int]]]:
    return [(name, "<f8", (JOINTS,)) for name in names]


# One per robot state seen by the arm driver. `errors` and `last_errors` are bit masks over libfranka's 41 error flags in
# wire order (`drivers/franka/errors.py`). `ack_*` say what was really applied: the acknowledgement of DESIGN section 5.
ARM_STATE = np.dtype(
    [
        ("robot_time_ns", "<i8"),
        *_joints("q", "dq", "tau", "tau_ext", "q_d", "dq_d", "ddq_d"),
        ("wrench_base", "<f8", (6,)),  # external force and torque at the stiffness frame, in base axes [N, Nm]
        ("wrench_k", "<f8", (6,)),
        _matrix("T_base_ee"),
        _matrix("T_base_ee_d"),
        _matrix("T_flange_ee"),
        ("joint_contact", "<u4"), ("joint_collision", "<u4"),  # bit per joint
        ("cartesian_contact", "<u4"), ("cartesian_collision", "<u4"),  # bit per axis
        ("errors", "<u8"), ("last_errors", "<u8"),
        ("robot_mode", "u1"), ("driver_state", "u1"), ("activity", "u1"), ("command_mode", "u1"),
        ("connection", "<u4"),  # counts connections to the robot; a new one is a new client
        ("success_rate", "<f8"),
        ("states_seen", "<u8"), ("states_missed", "<u8"),
        ("ack_sequence", "<u8"), ("ack_generation", "<u8"), ("ack_trace", "<u8"), ("ack_stamp_ns", "<i8"),
        *_joints("ack_q"),
        ("rejected", "<u8"), ("reject_reason", "<u4"),  # command rows the driver's last word refused; newest reason
        ("watchdog_stops", "<u8"),
        ("enabled_generation", "<u8"),  # 0: not enabled
        ("request_id", "<u8"), ("request_status", "u1"),
    ]
)  # fmt: skip

# One per tick from rt to the arm driver; only the gate writes it. ENABLE sets the lowest generation that acts; a row of a
# higher one raises it (mode changes inside rt need no new ENABLE), a row of a lower one is dead for good.
ARM_COMMAND = np.dtype(
    [
        ("generation", "<u8"), ("trace", "<u8"), ("tick", "<u8"),
        ("mode", "u1"),
        *_joints("q", "dq", "tau_ff"),
        _matrix("T_base_ee"),
        ("period_ns", "<i8"),  # nominal time to the next row
        ("valid_until_ns", "<i8"),  # a row that arrives later is dead
    ]
)  # fmt: skip

# Slow, rare requests to a driver: one writer (the supervisor, or a bench).
REQUEST = np.dtype(
    [
        ("id", "<u8"), ("generation", "<u8"), ("kind", "u1"), ("mode", "u1"),
        *_joints("q"),
        ("speed_factor", "<f8"),
        ("values", "<f8", (16,)),
    ]
)  # fmt: skip

HAND_STATE = np.dtype(
    [
        ("width_m", "<f8"), ("max_width_m", "<f8"), ("is_grasped", "u1"), ("temperature_c", "<f4"),
        ("driver_state", "u1"), ("busy", "u1"), ("connection", "<u4"),
        ("read_stamp_ns", "<i8"),  # when the width was read from the device: a reading can take 0.1 s
        ("request_id", "<u8"), ("request_status", "u1"),
    ]
)  # fmt: skip

CAMERA_STATE = np.dtype(
    [
        ("phase", "u1"), ("session", "<u4"),  # session: counts (re)starts of the stream
        ("frames", "<u8"), ("gaps", "<u8"), ("duplicates", "<u8"), ("out_of_order", "<u8"),
        ("stalls", "<u8"), ("restarts", "<u8"), ("resets", "<u8"), ("stamp_fallbacks", "<u8"), ("frozen", "<u8"),
        ("last_capture_ns", "<i8"), ("last_receive_ns", "<i8"), ("median_latency_ns", "<i8"),
        ("exposure_us", "<f4"), ("gain", "<f4"), ("white_balance_k", "<f4"), ("options_locked", "u1"),
    ]
)  # fmt: skip

HEARTBEAT = np.dtype(
    [("pid", "<u4"), ("beats", "<u8"), ("phase", "<u1"), ("work_ns", "<i8"), ("late_ns", "<i8"), ("overruns", "<u8")]
)

EVENT = np.dtype([("severity", "u1"), ("code", "S32"), ("text", "S400")])


def frame_dtype(width_px: int, height_px: int, *, depth: bool, infrared: bool) -> np.dtype:
    """One frameset of a camera: colour RGB u8 (h, w, 3), optional depth u16 (h, w) and infrared u8 (h, w)."""
    fields: list[tuple] = [
        ("capture_ns", "<i8"),  # mid-exposure, monotonic
        ("receive_ns", "<i8"),
        ("color_number", "<u8"), ("depth_number", "<u8"),
        ("session", "<u4"), ("quality", "<u4"), ("stamp_domain", "u1"),
        ("exposure_us", "<f4"), ("gain", "<f4"), ("white_balance_k", "<f4"),
        ("depth_scale_m", "<f8"),
        ("color", "u1", (height_px, width_px, 3)),
    ]  # fmt: skip
    if depth:
        fields.append(("depth", "<u2", (height_px, width_px)))
    if infrared:
        fields.append(("infrared", "u1", (height_px, width_px)))
    return np.dtype(fields)
