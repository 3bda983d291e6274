"""From the robot's own log: when braking began after the last valid command, how long it took, how far the arm went.

A pure function over the log's rows; it shares no code with gate, rt or drivers. Times are of the robot's clock.
"""

from dataclasses import dataclass

import numpy as np

BRAKES_RAD_S2 = 2.0  # of the fastest joint, against its motion; the motions that are judged decelerate with less
AT_REST_RAD_S = 2e-3


@dataclass(frozen=True)
class Stop:
    """One stop. `reaction_ms`: from the last valid command to the first row that brakes; NaN where nothing braked."""

    reaction_ms: float
    stop_ms: float  # from braking to rest
    distance_rad: float  # of the fastest joint, from the last valid command to rest
    speed_rad_s: float  # of that joint at the last valid command
    at_rest: bool


@dataclass(frozen=True)
class Bound:
    """What a stop may take at most.

    `reaction_s` until braking begins, then deceleration at `deceleration_rad_s2` that builds up within `jerk_rad_s3`;
    `speed_rad_s` is the largest of the motion.
    """

    reaction_s: float
    deceleration_rad_s2: float
    jerk_rad_s3: float
    speed_rad_s: float

    @property
    def distance_rad(self) -> float:
        """v t + v^2 / (2 a) + v a / (2 j): on at full speed until braking begins, then the jerk-limited brake."""
        v, a = self.speed_rad_s, self.deceleration_rad_s2
        return v * self.reaction_s + v * v / (2 * a) + v * a / (2 * self.jerk_rad_s3)


def judge(rows: np.ndarray, stamps_ns: np.ndarray, last_command_ns: int) -> Stop:
    """Look at one stop.

    Args:
        rows: of the robot's log (`hil.robot_log.ROBOT_ROW`), with the motion before and the rest after.
        stamps_ns: when each was written [ns, monotonic].
        last_command_ns: when the last valid command was given [ns, monotonic].
    """
    first = max(0, int(np.searchsorted(stamps_ns, last_command_ns, side="right")) - 1)
    joint = int(np.abs(rows["dq_d"][first]).argmax())
    speed = float(rows["dq_d"][first, joint])
    after = rows[first:]
    against = -np.sign(speed) * after["ddq_d"][:, joint]
    # A robot that gives a motion up brakes from what it measures; its log shows that by the motion's end.
    braking = np.flatnonzero((against > BRAKES_RAD_S2) | ((after["moving"] == 0) & (np.arange(len(after)) > 0)))
    still = np.abs(after["dq"]).max(axis=1) < AT_REST_RAD_S
    moves = np.flatnonzero(~still)
    rest = int(moves[-1]) + 1 if len(moves) else 0
    at_rest = rest < len(after)
    end = min(rest, len(after) - 1)
    ms = after["robot_time_ms"].astype(np.int64)
    begin = int(braking[0]) if len(braking) else None
    return Stop(
        reaction_ms=float(ms[begin] - ms[0]) if begin is not None else float("nan"),
        stop_ms=float(ms[end] - ms[begin]) if begin is not None else float("nan"),
        distance_rad=float(np.abs(after["q"][:, joint] - after["q"][0, joint])[: end + 1].max()),
        speed_rad_s=abs(speed),
        at_rest=at_rest,
    )
