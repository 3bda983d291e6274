"""The robot's own controllers: torques (7,) [Nm] on top of gravity compensation that make the arm follow a reference.

Gains a client can set are the robot's (stiffness); damping is critical for the arm's inertia at its present pose, as
libfranka sets none. Feed-forward of inertia, friction and Coriolis torque keeps the tracking error of a stiff arm
far below a microradian.
"""

from dataclasses import dataclass, field

import numpy as np

from hil.fci.arm_plant import ArmPlant
from hil.fci.frames import ToolFrames
from hil.fci.limits import DT_S
from hil.fci.motion import Reference
from hil.fci.protocol import JOINTS
from hil.fci.transforms import pose_error
from hil.scenes.fr3 import JOINT_DAMPING_NM_S, ROTOR_INERTIA_KG_M2

DEFAULT_JOINT_STIFFNESS = np.array([3000.0, 3000.0, 3000.0, 2500.0, 2500.0, 2000.0, 2000.0])  # Nm/rad
MAX_JOINT_STIFFNESS = 14250.0  # Nm/rad, Robot::setJointImpedance
DEFAULT_CARTESIAN_STIFFNESS = np.array([3000.0, 3000.0, 3000.0, 300.0, 300.0, 300.0])  # N/m, Nm/rad
CARTESIAN_STIFFNESS_RANGE = ((10.0, 3000.0), (1.0, 300.0))  # translation, rotation: Robot::setCartesianImpedance
NULLSPACE_STIFFNESS = 20.0  # Nm/rad towards q_d, what Cartesian stiffness leaves free (ours)
GUIDING_DAMPING = np.array([4.0, 4.0, 3.0, 3.0, 1.0, 1.0, 0.5])  # Nm s/rad: a hand-guided arm comes to rest (ours)
_ROTORS = np.diag(ROTOR_INERTIA_KG_M2)
_FRICTION = np.array(JOINT_DAMPING_NM_S)


@dataclass
class Guiding:
    """Which axes of frame K (6,) a guiding hand may move, and where the others are held."""

    free_axes: np.ndarray = field(default_factory=lambda: np.ones(6, dtype=bool))
    elbow_free: bool = True
    T_held: np.ndarray = field(default_factory=lambda: np.eye(4))
    q_held: np.ndarray = field(default_factory=lambda: np.zeros(JOINTS))


class Controllers:
    """Stiffness as set by the client, and the three laws that use it."""

    def __init__(self, plant: ArmPlant, frames: ToolFrames) -> None:
        self._plant, self._frames = plant, frames
        self.joint_stiffness = DEFAULT_JOINT_STIFFNESS.copy()
        self.cartesian_stiffness = DEFAULT_CARTESIAN_STIFFNESS.copy()

    def joint_impedance(self, q: np.ndarray, dq: np.ndarray, reference: Reference) -> np.ndarray:
        """Spring and damper to the reference in every joint, with inertia, friction and Coriolis torque fed forward.

        The springs compare the arm with where the reference was when this millisecond began; where it ends is what the
        feed-forward is for.
        """
        M = self._plant.mass_matrix(q) + _ROTORS
        K = self.joint_stiffness
        damping = 2.0 * np.sqrt(K * M.diagonal())
        q_begin, dq_begin = reference.q - reference.dq * DT_S, reference.dq - reference.ddq * DT_S
        tau = K * (q_begin - q) + damping * (dq_begin - dq) + self._plant.coriolis(q, dq)
        if reference.moving or reference.ddq.any():
            tau = tau + M @ reference.ddq + _FRICTION * reference.dq
        return tau

    def cartesian_impedance(self, q: np.ndarray, dq: np.ndarray, reference: Reference) -> np.ndarray:
        """Spring and damper to the reference at the stiffness frame K, weak joint springs in what is left free."""
        plant, F_T_K = self._plant, self._frames.F_T_K
        M = plant.mass_matrix(q) + _ROTORS
        J = plant.jacobian(q, F_T_K)
        q_begin, dq_begin = reference.q - reference.dq * DT_S, reference.dq - reference.ddq * DT_S
        tau = J.T @ self._spring(plant.fk(q_begin, F_T_K), J, q, dq - dq_begin, M, self.cartesian_stiffness)
        damping = 2.0 * np.sqrt(NULLSPACE_STIFFNESS * M.diagonal())
        posture = NULLSPACE_STIFFNESS * (q_begin - q) + damping * (dq_begin - dq)
        free = np.eye(JOINTS) - J.T @ np.linalg.pinv(J).T
        return tau + free @ posture + M @ reference.ddq + _FRICTION * reference.dq + plant.coriolis(q, dq)

    def guided(self, q: np.ndarray, dq: np.ndarray, guiding: Guiding) -> np.ndarray:
        """Gravity compensation and light damping; axes of K that are not free are held where guiding began."""
        plant = self._plant
        tau = plant.coriolis(q, dq) - GUIDING_DAMPING * dq
        if not guiding.free_axes.all():
            J = plant.jacobian(q, self._frames.F_T_K)
            stiffness = np.where(guiding.free_axes, 0.0, DEFAULT_CARTESIAN_STIFFNESS)
            tau = tau + J.T @ self._spring(guiding.T_held, J, q, dq, plant.mass_matrix(q) + _ROTORS, stiffness)
        if not guiding.elbow_free:
            tau[2] += DEFAULT_JOINT_STIFFNESS[2] * (guiding.q_held[2] - q[2])
        return tau

    def _spring(
        self, T_goal: np.ndarray, J: np.ndarray, q: np.ndarray, dq: np.ndarray, M: np.ndarray, K: np.ndarray
    ) -> np.ndarray:
        """Wrench (6,) in base axes that pulls K to `T_goal`, critically damped for the inertia felt there."""
        error = pose_error(T_goal, self._plant.fk(q, self._frames.F_T_K))
        mobility = J @ np.linalg.solve(M, J.T)
        inertia = 1.0 / np.maximum(mobility.diagonal(), 1e-3)
        return K * error - 2.0 * np.sqrt(K * inertia) * (J @ dq)
