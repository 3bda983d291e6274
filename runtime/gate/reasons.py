"""Why the gate did what it did: one row per reason, with the operator's sentence and what to do.

Numbers are in recordings: never reuse one.
"""

from dataclasses import dataclass
from enum import IntEnum

from runtime.gate.verdict import Verdict


class Reason(IntEnum):
    """Number in rows; 0 is none. Tens are the checks in their order."""

    NONE = 0
    # armed, dead-man, robot
    NOT_ARMED = 1
    DEADMAN = 2
    NO_STATE = 3
    STATE_OLD = 4
    DRIVER_NOT_OK = 5
    ROBOT_MODE = 6
    # schema
    NOT_FINITE = 10
    SHAPE_WRONG = 11
    JOINT_ORDER = 12
    FRAME = 13
    SESSION = 14
    NOT_RIGID = 15
    STATE_NOT_FINITE = 16
    # age, sequence, provenance
    MISSING = 20
    TOO_OLD = 21
    FROM_FUTURE = 22
    NOT_DUE = 23
    SEQUENCE = 24
    GENERATION = 25
    # step against the last command
    JUMP = 30
    JUMP_HARD = 31
    # joint limits
    POSITION = 40
    VELOCITY = 41
    ACCELERATION = 42
    JERK = 43
    INCONSISTENT = 44
    # speeds
    TCP_SPEED = 50
    ELBOW_SPEED = 51
    TCP_ROTATION = 52
    SINGULARITY = 53
    # space
    OUTSIDE_WORKSPACE = 60
    HALF_SPACE = 61
    KEEP_OUT = 62
    CLEARANCE = 63
    # Cartesian candidates
    BRANCH = 70
    BARRIER = 71
    POSE_SHORT = 72
    # what the arm feels
    TRACKING = 80
    FORCE = 81
    TORQUE = 82
    CONTACT = 83
    # clocks
    RATE = 90
    WINDOW = 91
    # stops
    NO_STOP = 100
    PLANNER = 101
    ALWAYS_SHAPED = 102
    BRAKING = 103
    GROUP = 104


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """What a reason does and how it is told: `text` has the places {value}, {limit} and {where}."""

    verdict: Verdict
    text: str
    remedy: str


_S, _H, _T = Verdict.SHAPE, Verdict.STOP, Verdict.TRIP
_BUG = "this is a bug of the source: keep the black box"
_SLOWER = "let the source go slower, or choose a profile with more room"

REASONS: dict[Reason, ReasonRow] = {
    Reason.NONE: ReasonRow(Verdict.PASS, "nothing is wrong", ""),
    Reason.NOT_ARMED: ReasonRow(_T, "a command came while the arm is not armed", "arm it first"),
    Reason.DEADMAN: ReasonRow(_H, "the dead-man's switch is not held", "hold it and take over again"),
    Reason.NO_STATE: ReasonRow(_H, "there is no state of the arm", "check that the arm driver runs"),
    Reason.STATE_OLD: ReasonRow(_H, "the arm's state is {value:.0f} ms old (limit {limit:.0f} ms)",
                                "check the arm driver and the robot's network cable"),
    Reason.DRIVER_NOT_OK: ReasonRow(_T, "the arm driver reports state {value:.0f}, not {limit:.0f} (OK)",
                                    "read the driver's message, then recover"),
    Reason.ROBOT_MODE: ReasonRow(_T, "the robot is in mode {value:.0f}, in which it does not follow commands",
                                 "look at the arm, clear the cause, then recover"),
    Reason.NOT_FINITE: ReasonRow(_T, "joint or element {where} of the command is NaN or infinite", _BUG),
    Reason.SHAPE_WRONG: ReasonRow(_T, "the command has {value:.0f} values, {limit:.0f} are needed", _BUG),
    Reason.JOINT_ORDER: ReasonRow(_T, "the command was made for other joints (id {value:.0f}, this robot {limit:.0f})",
                                  "use a policy or plan made for this robot"),
    Reason.FRAME: ReasonRow(_T, "the command was made for another end-effector frame (id {value:.0f}, here {limit:.0f})",
                            "compare T_flange_ee of the cell file with the policy's"),
    Reason.SESSION: ReasonRow(_T, "the source changed within generation {value:.0f}: it was restarted or replaced",
                              "arm again"),
    Reason.NOT_RIGID: ReasonRow(_T, "the commanded pose is no rigid transform (off by {value:.2g}, limit {limit:.2g})", _BUG),
    Reason.STATE_NOT_FINITE: ReasonRow(_T, "the arm's state holds NaN or infinity (joint or axis {where})",
                                       "read the driver's message; keep the black box"),
    Reason.MISSING: ReasonRow(_H, "no command for {value:.0f} ms (limit {limit:.0f} ms)",
                              "look at the source (policy server, plan, link), then run again"),
    Reason.TOO_OLD: ReasonRow(_H, "the command is {value:.0f} ms old (limit {limit:.0f} ms)",
                              "look at the source's delays, then run again"),
    Reason.FROM_FUTURE: ReasonRow(_H, "the command's stamp is {value:.3f} ms in the future",
                                  "the source uses another clock: it must stamp with this host's monotonic clock"),
    Reason.NOT_DUE: ReasonRow(_H, "the command is due {value:.1f} ms from now (limit {limit:.1f} ms)", _BUG),
    Reason.SEQUENCE: ReasonRow(_H, "command number {value:.0f} came after number {limit:.0f}",
                               "commands were repeated or reordered: look at the source"),
    Reason.GENERATION: ReasonRow(_H, "a command of generation {value:.0f} came, {limit:.0f} is in force",
                                 "run again: what an earlier mode left behind is dead"),
    Reason.JUMP: ReasonRow(_S, "joint {where} asks for a step of {value:.4f} rad (blended above {limit:.4f} rad)", _SLOWER),
    Reason.JUMP_HARD: ReasonRow(_H, "joint {where} asks for a jump of {value:.3f} rad (limit {limit:.3f} rad)",
                                "let the source start where the arm is"),
    Reason.POSITION: ReasonRow(_S, "joint {where} asks for {value:.4f} rad, the limit is {limit:.4f} rad",
                               "keep the motion away from the joint's limit"),
    Reason.VELOCITY: ReasonRow(_S, "joint {where} asks for {value:.3f} rad/s, the limit here is {limit:.3f} rad/s", _SLOWER),
    Reason.ACCELERATION: ReasonRow(_S, "joint {where} asks for {value:.2f} rad/s2, the limit is {limit:.2f} rad/s2", _SLOWER),
    Reason.JERK: ReasonRow(_S, "joint {where} asks for {value:.0f} rad/s3, the limit is {limit:.0f} rad/s3", _SLOWER),
    Reason.INCONSISTENT: ReasonRow(_S, "joint {where}: position and velocity disagree by {value:.2g} rad/s (limit {limit:.2g})",
                                   "the source's velocities must be the derivative of its positions"),
    Reason.TCP_SPEED: ReasonRow(_S, "the tool asks for {value:.3f} m/s, the limit is {limit:.3f} m/s", _SLOWER),
    Reason.ELBOW_SPEED: ReasonRow(_S, "the elbow asks for {value:.3f} m/s, the limit is {limit:.3f} m/s", _SLOWER),
    Reason.TCP_ROTATION: ReasonRow(_S, "the tool asks to turn at {value:.3f} rad/s, the limit is {limit:.3f} rad/s", _SLOWER),
    Reason.SINGULARITY: ReasonRow(_S, "joint {where} asks for {value:.3f} rad/s near a singularity (limit {limit:.3f})",
                                  "move away from the stretched or folded pose"),
    Reason.OUTSIDE_WORKSPACE: ReasonRow(_H, "the tool would leave the workspace by {value:.3f} m",
                                        "guide it back, or correct limits.workspace of the cell file"),
    Reason.HALF_SPACE: ReasonRow(_H, "point {where} would be {value:.3f} m past a half-space (limit {limit:.3f} m)",
                                 "correct the motion, or limits.workspace of the cell file"),
    Reason.KEEP_OUT: ReasonRow(_H, "point {where} would enter a keep-out box (distance {value:.3f} m, limit {limit:.3f} m)",
                               "correct the motion, or limits.workspace of the cell file"),
    Reason.CLEARANCE: ReasonRow(_H, "capsule pair {where} would come within {value:.3f} m (limit {limit:.3f} m)",
                                "correct the motion: the arm would touch itself or its surroundings"),
    Reason.BRANCH: ReasonRow(_H, "joint {where} would have to jump by {value:.3f} rad to follow the pose (limit {limit:.3f})",
                             "the pose needs another arm configuration: approach it in joint space"),
    Reason.BARRIER: ReasonRow(_H, "no joint motion follows the pose inside the limits", "move away from the limits first"),
    Reason.POSE_SHORT: ReasonRow(_S, "the pose cannot be reached in one period: {value:.4f} m missing (limit {limit:.4f} m)",
                                 _SLOWER),
    Reason.TRACKING: ReasonRow(_H, "joint {where} is {value:.3f} rad away from its command (limit {limit:.3f} rad)",
                               "free the arm from what holds it; check the load in the cell file"),
    Reason.FORCE: ReasonRow(_H, "the external force is {value:.1f} N (limit {limit:.1f} N)",
                            "free the arm from what it touches"),
    Reason.TORQUE: ReasonRow(_H, "the external torque is {value:.1f} Nm (limit {limit:.1f} Nm)",
                             "free the arm from what it touches"),
    Reason.CONTACT: ReasonRow(_H, "contact during a guarded move: {value:.1f} N or Nm (limit {limit:.1f})",
                              "clear the arm's way, then run again"),
    Reason.RATE: ReasonRow(_T, "{value:.0f} commands within 250 ms (limit {limit:.0f})",
                           "the loop runs too fast: keep the black box"),
    Reason.WINDOW: ReasonRow(_T, "the tool would travel {value:.3f} m within 250 ms (limit {limit:.3f} m)",
                             "a burst of commands, or window_displacement_m is tighter than the profile's speeds"),
    Reason.NO_STOP: ReasonRow(_S, "no stop inside the limits exists from there (check {value:.0f})", _SLOWER),
    Reason.PLANNER: ReasonRow(_H, "the trajectory planner found no way to blend the command", _BUG),
    Reason.ALWAYS_SHAPED: ReasonRow(_T, "{value:.0f} commands in a row had to be changed (limit {limit:.0f})",
                                    "the source keeps asking for what the limits forbid: use one made for this profile"),
    Reason.GROUP: ReasonRow(_H, "another arm of the stop group was stopped", "see that arm's reason"),
    Reason.BRAKING: ReasonRow(Verdict.PASS, "braking: no command for {value:.0f} ms", ""),
}  # fmt: skip


def describe(reason: Reason, value: float, limit: float, where: int) -> str:
    """The operator's sentence with its numbers, and what to do."""
    row = REASONS[reason]
    text = row.text.format(value=value, limit=limit, where=where)
    return f"{text}: {row.remedy}" if row.remedy else text
