"""Joint and Cartesian impedance: the motion that franky's trackers wrap, with what the trackers lack.

`JointImpedanceTracker` and `CartesianImpedanceTracker` start their reference at the measured position and hold the last
one for ever; so this drives their tracking motions directly: the reference starts at q_d, is clipped around where the
arm is, both joint limits are passed (the repulsion needs both), and the driver's watchdog ends it.
"""

from typing import Any

import franky
import numpy as np

from drivers.franka.bounded import Call
from drivers.franka.command import Command
from drivers.franka.limits import JointLimits
from drivers.franka.link import Link, Signal
from drivers.franka.view import RobotView
from runtime.cell import Impedance
from runtime.rows import CommandMode

START_NS = 500_000_000  # from handing the motion over to the first state in which it runs


class ImpedanceStream:
    """Follows commands by a spring-damper law at 1 kHz inside franky; joint or Cartesian by `mode`.

    The first command only starts the motion, at q_d; the following ones set its reference.
    """

    signal = Signal.TORQUE

    def __init__(self, link: Link, limits: JointLimits, impedance: Impedance, mode: CommandMode) -> None:
        self._link, self._impedance, self._mode = link, impedance, mode
        bounds = {
            "lower_joint_limits": np.array(limits.lower_rad),
            "upper_joint_limits": np.array(limits.upper_rad),
        }
        if mode == CommandMode.JOINT_IMPEDANCE:
            self._motion: Any = franky.JointImpedanceTrackingMotion(
                stiffness=np.array(impedance.joint_stiffness_nm_rad),
                damping=np.array(impedance.joint_damping_nms_rad),
                **bounds,
            )
        else:
            self._motion = franky.CartesianImpedanceTrackingMotion(
                translational_stiffness=impedance.translation_stiffness_n_m,
                rotational_stiffness=impedance.rotation_stiffness_nm_rad,
                translational_error_clip=np.full(3, impedance.clip_m),
                rotational_error_clip=np.full(3, impedance.clip_rad),
                **bounds,
            )
        self._start: Call | None = None
        self._ran = False
        self._newest: Command | None = None

    def apply(self, command: Command) -> None:
        """Follow this command from now on."""
        self._newest = command

    def poll(self, view: RobotView) -> Command | None:
        """Set the reference; returns the command whose reference the motion took, if it took one.

        Raises:
            Exception: what franky raised when the motion was started.
        """
        if self._newest is None:
            return None
        if self._start is None:
            self._set(view.q_d, (0.0,) * 7, (0.0,) * 7, view.T_base_ee_d)
            self._start = self._link.move(self._motion, self.signal)
            return None
        if not self._start.done:
            return None
        if self._start.error is not None:
            raise self._start.error
        command, self._newest = self._newest, None
        self._set(self._clipped(command.q, view.q), command.dq, command.tau_ff, command.T_base_ee)
        return command

    def _clipped(self, q: tuple[float, ...], measured: tuple[float, ...]) -> list[float]:
        """Never pull harder than stiffness times the clip, however far the arm is held from its reference."""
        clip = self._impedance.clip_joint_rad
        return [min(max(target, at - clip), at + clip) for target, at in zip(q, measured, strict=True)]

    def _set(self, q: Any, dq: Any, tau_ff: Any, T_base_ee: np.ndarray) -> None:
        if self._mode == CommandMode.JOINT_IMPEDANCE:
            self._motion.set_reference(franky.JointReference(q=np.array(q), dq=np.array(dq), tau_ff=np.array(tau_ff)))
        else:
            self._motion.set_reference(franky.CartesianReference(target=franky.Affine(T_base_ee)))

    def ended(self, view: RobotView) -> bool:
        """A torque motion never ends by itself: if it runs no more, something ended it."""
        if self._start is None or not self._start.done or view.stamp_ns <= self._start.done_ns:
            return False
        self._ran = self._ran or view.in_control
        return not view.in_control and (self._ran or view.stamp_ns - self._start.done_ns > START_NS)

    def overdue(self, now_ns: int) -> bool:
        """The client library does not come back from starting the motion."""
        return self._start is not None and self._start.overdue(now_ns)
