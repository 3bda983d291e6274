"""Check 2: is the candidate what it must be: made for this robot, of the right shape, every number finite?"""

import math
from collections.abc import Sequence

from runtime.gate.finding import Finding
from runtime.gate.reasons import Reason
from runtime.gate.types import Candidate, Kind

JOINTS, POSE = 7, 16
RIGID = 1e-3  # how far R R^T may be from one, and the last row from 0 0 0 1: recorded poses are float32


def check_schema(candidate: Candidate, joint_order: int, frame: int) -> Finding | None:
    """`joint_order` and `frame` are the robot's. NaN is a bug, not noise: it trips."""
    if candidate.joint_order != joint_order:
        return Finding(Reason.JOINT_ORDER, candidate.joint_order, joint_order)
    if candidate.frame != frame:
        return Finding(Reason.FRAME, candidate.frame, frame)
    if candidate.kind == Kind.CARTESIAN:
        return check_numbers(candidate.T_base_ee, POSE) or _rigid(candidate.T_base_ee)
    found = check_numbers(candidate.q, JOINTS)
    if found is None and candidate.dq is not None:
        found = check_numbers(candidate.dq, JOINTS)
    return found


def check_numbers(values: Sequence[float] | None, count: int) -> Finding | None:
    """Exactly `count` Python floats, all finite."""
    if values is None or len(values) != count:
        return Finding(Reason.SHAPE_WRONG, 0.0 if values is None else len(values), count)
    for index, value in enumerate(values, start=1):
        if not isinstance(value, float):
            return Finding(Reason.SHAPE_WRONG, 0.0, count, index)
        if not math.isfinite(value):
            return Finding(Reason.NOT_FINITE, value, 0.0, index)
    return None


def _rigid(T: Sequence[float] | None) -> Finding | None:
    assert T is not None  # its 16 numbers were counted
    rows = (T[0:3], T[4:7], T[8:11])
    worst = max(abs(T[12]), abs(T[13]), abs(T[14]), abs(T[15] - 1.0))
    for i in range(3):
        for j in range(i, 3):
            dot = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            worst = max(worst, abs(dot - (1.0 if i == j else 0.0)))
    (a, b, c), (d, e, f), (g, h, i_) = rows
    turn = a * (e * i_ - f * h) - b * (d * i_ - f * g) + c * (d * h - e * g)
    worst = max(worst, abs(turn - 1.0))  # a mirror has -1
    if not worst <= RIGID:
        return Finding(Reason.NOT_RIGID, worst, RIGID)
    return None
