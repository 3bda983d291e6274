"""Joint velocity streaming: v = dq + K (q* - q_d), each row a motion that brakes by itself when no other follows.

Chosen by measurement over six ways to stream set-points through franky: smallest lag (8 ms at 30 Hz targets), no
discontinuity. Feedback is against q_d, what the robot was told, not q, what it measured: a motion never starts from a
measured value.
"""

import franky
import numpy as np

from drivers.franka.bounded import Call
from drivers.franka.command import Command
from drivers.franka.limits import JointLimits
from drivers.franka.link import Link, Signal
from drivers.franka.view import RobotView
from runtime.rows import JOINTS

DEAD_MAN_PERIODS = 2.5  # franky's default of 1000 ms would go on for a second after the last command
SPREAD = 0.5  # of a period, over which a new velocity is reached: at 0.8, 0.7 Hz of motion lagged 16 ms at 30 Hz, at 0.5 12 ms
_INSIDE = 0.999  # franky's planner throws, and with that drops the motion, above its limit to the last digit


def velocity_command(command: Command, q_d: tuple[float, ...], gain_1_s: float, limits: JointLimits) -> list[float]:
    """Velocity (7,) [rad/s] that follows a command from q_d (7,) [rad], inside the robot's limits at q_d."""
    low, high = limits.velocity_bounds(q_d)
    return [
        min(max(command.dq[j] + gain_1_s * (command.q[j] - q_d[j]), _INSIDE * low[j]), _INSIDE * high[j])
        for j in range(JOINTS)
    ]


def dead_man_ms(period_ns: int) -> int:
    """How long a motion holds its velocity without a successor [ms]: 2 to 3 command periods."""
    return max(2, round(DEAD_MAN_PERIODS * period_ns / 1e6))


def velocity_motion(velocity: list[float], period_ns: int) -> franky.JointVelocityWaypointMotion:
    """A motion that reaches a velocity (7,) [rad/s], holds it for the dead-man's time, then brakes as hard as it may.

    This is `franky.JointVelocityMotion` with one thing more: the velocity is reached over half of the period rather than
    as fast as the arm can, which makes a staircase of rows a ramp (measured at 30 Hz and 0.8 of the period: rms acceleration
    1.65 where it was 2.9, ideal 1.4 rad/s2; lag 9 ms where it was 6).
    """
    hold = franky.Duration(dead_man_ms(period_ns))
    spread_ms = int(SPREAD * period_ns / 1e6)
    return franky.JointVelocityWaypointMotion(
        [
            franky.JointVelocityWaypoint(
                np.array(velocity),
                minimum_time=franky.Duration(spread_ms) if spread_ms else None,
                hold_target_duration=hold,
                max_total_duration=hold,
            ),
            franky.JointVelocityWaypoint(np.zeros(JOINTS)),
        ]
    )


class VelocityStream:
    """Follows commands by joint velocities; the newest command wins while an older one is being handed over."""

    signal = Signal.VELOCITY

    def __init__(self, link: Link, limits: JointLimits, gain_1_s: float) -> None:
        self._link, self._limits, self._gain_1_s = link, limits, gain_1_s
        self._under_way: tuple[Command, Call] | None = None
        self._next: Command | None = None

    def apply(self, command: Command) -> None:
        """Follow this command from now on."""
        self._next = command

    def poll(self, view: RobotView) -> Command | None:
        """Hand over what is due; returns the command that the robot's motion took since the last poll, if one did.

        Raises:
            Exception: what franky raised when the motion was handed over.
        """
        applied = None
        if self._under_way is not None and self._under_way[1].done:
            applied, call = self._under_way
            self._under_way = None
            if call.error is not None:
                raise call.error
        if self._next is not None and self._under_way is None:
            command, self._next = self._next, None
            velocity = velocity_command(command, view.q_d, self._gain_1_s, self._limits)
            motion = velocity_motion(velocity, command.period_ns)
            self._under_way = (command, self._link.move(motion, self.signal))
        return applied

    def ended(self, _view: RobotView) -> bool:
        """A velocity motion ends by its own dead-man and the next command starts another: never the stream's end."""
        return False

    def overdue(self, now_ns: int) -> bool:
        """The client library does not come back from handing over a motion."""
        return self._under_way is not None and self._under_way[1].overdue(now_ns)
