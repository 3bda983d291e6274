"""The rows of the rt process: what it is asked (`rt.request`, `rt.plan`), what it says (`rt.modes`), what it did
(`rt.tick.NAME`). Together they are what a replay needs: nothing else enters a tick.
"""

from enum import IntEnum

import numpy as np

from runtime.rows import ARM_STATE, JOINTS

MAX_GROUPS = 4
MAX_ARMS = 8

REQUEST_SLOTS = 4096  # a jog at 50 Hz is still all there in a black box of 10 s
PLAN_SLOTS = 32768
TICK_SLOTS = 16384
MODES_SLOTS = 16384


class RtRequestKind(IntEnum):
    """What can be asked of rt. All but STOP are dead if `generation` is given and no longer the group's."""

    ARM = 1
    DISARM = 2
    RUN = 3  # `source` on `arm`; WAYPOINTS runs the plan `plan` (goes on where it was held, if it was); `flag`: RUN_*
    TAKE_OVER = 4  # `source` JOG; its hand must be there already: JOG rows come before
    HOLD = 5
    STOP = 6  # raises `cause` (0: OPERATOR_STOP); any cause of the table that is raised by request
    ACK = 7
    SPEED = 8  # values[0]: path speed factor, 0.05 to 1
    JOG = 9  # values[0:7]: joint velocities [rad/s]; dies 200 ms after the row's stamp


RUN_FROM_START = 1  # also where the plan was held half-way
RUN_NO_APPROACH = 2  # refuse, with the differences, rather than move to the start first


class SourceKind(IntEnum):
    """Who may hold the lease."""

    NONE = 0
    HOLD = 1
    HOME = 2
    WAYPOINTS = 3
    JOG = 4


# One writer: the supervisor.
RT_REQUEST = np.dtype(
    [
        ("id", "<u8"), ("generation", "<u8"),
        ("kind", "u1"), ("group", "u1"), ("arm", "u1"), ("source", "u1"), ("cause", "u1"), ("flag", "u1"),
        ("plan", "<u8"),
        ("values", "<f8", (16,)),
    ]
)  # fmt: skip

# A planned motion, sampled; one writer, the supervisor. rt takes in a few rows per tick (`runtime/sources/plan.py`).
RT_PLAN = np.dtype(
    [
        ("plan", "<u8"), ("index", "<u4"), ("count", "<u4"), ("arm", "u1"), ("sample_ns", "<i8"),
        ("q", "<f8", (JOINTS,)), ("dq", "<f8", (JOINTS,)),
    ]
)  # fmt: skip

_G = (MAX_GROUPS,)

# One per tick. Arrays are per stop group, in the order of the groups' names; `launch/cells/*.yaml` arms.NAME.stop_group.
RT_MODES = np.dtype(
    [
        ("tick", "<u8"), ("now_ns", "<i8"), ("due_ns", "<i8"), ("period_ns", "<i8"),
        # inputs shared by all arms
        ("request_sequence", "<u8"), ("plan_sequence", "<u8"),  # rows taken in up to here, this tick included
        ("supervisor_age_ns", "<i8"), ("work_ns", "<i8"), ("shutdown", "u1"),  # work_ns: what the previous tick cost
        # modes
        ("groups", "u1"),
        ("mode", "u1", _G), ("action", "u1", _G), ("cause", "u1", _G),
        ("generation", "<u8", _G), ("since_ns", "<i8", _G),
        ("active", "<u8", _G), ("latched", "<u8", _G),  # bit per runtime.modes.causes.Cause
        ("lease", "u1", _G), ("plan", "<u8", _G), ("progress", "<f8", _G),  # holder, its plan, share done 0 to 1
        ("speed", "<f8", _G), ("speed_asked", "<f8", _G),
        ("following", "u1", _G), ("still", "u1", _G),
        ("waits_for", "u1", _G),  # 1 + index of the arm that STOPPING or RECOVERING waits for; 0: none
        # the last request that was answered
        ("request_id", "<u8"), ("request_status", "u1"), ("refusal", "u1"),
        ("refusal_values", "<f8", (JOINTS,)), ("refusal_limit", "<f8"),
        # timing: the loop's own verdict
        ("late_ns", "<i8"), ("late_max_ns", "<i8"), ("late_ticks", "<u8"), ("skipped", "<u8"), ("gap_max_ns", "<i8"),
        ("timing", "u1"), ("timing_history", "<u4"), ("timing_clean", "<u8"), ("gc_runs", "<u8"),
        # gate, summed over the arms of a group
        ("passes", "<u8", _G), ("shapes", "<u8", _G), ("stops", "<u8", _G), ("trips", "<u8", _G),
        ("reason", "<u2", _G), ("reason_where", "<u2", _G), ("reason_arm", "u1", _G),
        ("reason_value", "<f8", _G), ("reason_limit", "<f8", _G),
        ("plan_loaded", "<u8"), ("plan_bad", "<u8"),  # ids: the plan that is ready, the last one that was refused
    ]
)  # fmt: skip

# One per tick and arm: what came in, what was wanted, what the gate made of it, what went out.
RT_TICK = np.dtype(
    [
        ("tick", "<u8"), ("now_ns", "<i8"),
        # inputs
        ("state_status", "u1"), ("state_sequence", "<u8"), ("state_session", "<u8"), ("state_stamp_ns", "<i8"),
        ("state", ARM_STATE),
        ("still_from_ns", "<i8"),  # robot time since which the arm has been still; -1: it moves
        ("gate_epoch", "<u4"),  # 0: no limits known yet; counts the gates built from the driver's identity
        # the candidate
        ("source", "u1"), ("has_candidate", "u1"), ("speed", "<f8"),
        ("candidate_q", "<f8", (JOINTS,)), ("candidate_dq", "<f8", (JOINTS,)),
        # the verdict
        ("judged", "u1"), ("verdict", "u1"), ("reason", "<u2"), ("where", "<u2"),
        ("value", "<f8"), ("limit", "<f8"),
        ("stopping", "u1"), ("at_rest", "u1"),
        # the command
        ("sent", "u1"), ("command_sequence", "<u8"), ("trace", "<u8"),  # of the command ring: the newest row ever sent
        ("mode", "u1"), ("cause", "u1"), ("generation", "<u8"), ("active", "<u8"),
        ("q", "<f8", (JOINTS,)), ("dq", "<f8", (JOINTS,)), ("ddq", "<f8", (JOINTS,)),
        ("valid_until_ns", "<i8"),
    ]
)  # fmt: skip
