"""The rigid-body model of one arm by itself: kinematics and dynamics at any joint position, apart from the running world.

It holds what the robot's controller holds: links and hand as they are, and the load that it was told of. All results
are in the arm's base frame.
"""

import mujoco
import numpy as np

from hil.scenes.fr3 import FLANGE_OFFSET_M, HAND_INERTIA, JOINT_TABLE, JOINTS, LINK_INERTIAS
from hil.scenes.mjcf import inertial, quat_about_x, vector


def _arm_xml(*, with_hand: bool) -> str:
    opened = []
    for index, joint in enumerate(JOINT_TABLE, start=1):
        opened.append(
            f'<body name="link{index}" pos="{vector(joint.T_parent_joint()[:3, 3])}"'
            f' quat="{vector(quat_about_x(joint.alpha_rad))}">{inertial(LINK_INERTIAS[index])}<joint axis="0 0 1"/>'
        )
    hand = inertial(HAND_INERTIA) if with_hand else ""
    tool = (
        f'<body name="flange" pos="0 0 {FLANGE_OFFSET_M}">{hand}'
        '<body name="load"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/></body></body>'
    )
    return (
        '<mujoco><compiler angle="radian"/><option jacobian="dense"/><worldbody>'
        + "".join(opened)
        + tool
        + "</body>" * len(opened)
        + "</worldbody></mujoco>"
    )


class ArmModel:
    """Kinematics and dynamics of one arm with its hand and its declared load.

    `gravity_base_m_s2` (3,) is gravity in the arm's base axes: a tilted base feels it sideways.
    """

    def __init__(self, *, with_hand: bool, gravity_base_m_s2: np.ndarray) -> None:
        self._model = mujoco.MjModel.from_xml_string(_arm_xml(with_hand=with_hand))
        self._model.opt.gravity[:] = gravity_base_m_s2
        self._data = mujoco.MjData(self._model)
        self._flange = self._model.body("flange").id
        self._load = self._model.body("load").id
        self._mass = np.zeros((JOINTS, JOINTS))
        self._linear, self._angular = np.zeros((3, JOINTS)), np.zeros((3, JOINTS))
        self._no_velocity = np.zeros(JOINTS)
        self.set_load(0.0, np.zeros(3), np.zeros((3, 3)))

    def set_load(self, mass_kg: float, center_m: np.ndarray, inertia_kg_m2: np.ndarray) -> None:
        """What the flange is said to carry besides the hand: centre (3,) in the flange frame, inertia (3, 3) about it."""
        principal, axes = np.linalg.eigh(inertia_kg_m2)
        if np.linalg.det(axes) < 0:
            axes[:, 0] = -axes[:, 0]
        model = self._model
        model.body_mass[self._load] = mass_kg
        model.body_ipos[self._load] = center_m
        model.body_inertia[self._load] = principal
        mujoco.mju_mat2Quat(model.body_iquat[self._load], axes.ravel())
        mujoco.mj_setConst(model, self._data)
        self.load_mass_kg = mass_kg
        self._load_center_m = np.array(center_m, dtype=float)

    def _place(self, q: np.ndarray) -> None:
        self._data.qpos[:] = q
        mujoco.mj_kinematics(self._model, self._data)

    def fk(self, q: np.ndarray, T_flange_point: np.ndarray) -> np.ndarray:
        """(4, 4) T_base_point at joint position `q` (7,)."""
        self._place(q)
        T = np.eye(4)
        T[:3, :3] = self._data.xmat[self._flange].reshape(3, 3)
        T[:3, 3] = self._data.xpos[self._flange]
        return T @ T_flange_point

    def jacobian(self, q: np.ndarray, T_flange_point: np.ndarray) -> np.ndarray:
        """(6, 7) of the point's velocity: three linear rows, three angular rows, base axes."""
        self._place(q)
        data = self._data
        mujoco.mj_comPos(self._model, data)
        point = data.xpos[self._flange] + data.xmat[self._flange].reshape(3, 3) @ T_flange_point[:3, 3]
        mujoco.mj_jac(self._model, data, self._linear, self._angular, point, self._flange)
        return np.concatenate((self._linear, self._angular))

    def mass_matrix(self, q: np.ndarray) -> np.ndarray:
        """(7, 7) [kg m2] of the rigid bodies; the motors' share (`ROTOR_INERTIA_KG_M2`) is not in it, as in libfranka."""
        self._place(q)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_crb(self._model, self._data)
        mujoco.mj_fullM(self._model, self._data, self._mass)
        return self._mass.copy()

    def gravity(self, q: np.ndarray) -> np.ndarray:
        """(7,) [Nm]: the joint torque that holds links, hand and declared load up."""
        return self._bias(q, self._no_velocity)

    def coriolis(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        """(7,) [Nm]: Coriolis and centrifugal torque at joint velocity `dq` (7,)."""
        return self._bias(q, dq) - self._bias(q, self._no_velocity)

    def load_weight_torque(self, q: np.ndarray) -> np.ndarray:
        """(7,) [Nm]: the torque that holds the declared load alone up."""
        T_flange_load = np.eye(4)
        T_flange_load[:3, 3] = self._load_center_m
        return -self.load_mass_kg * (self._model.opt.gravity @ self.jacobian(q, T_flange_load)[:3])

    def _bias(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        data = self._data
        self._place(q)
        mujoco.mj_comPos(self._model, data)
        data.qvel[:] = dq
        mujoco.mj_comVel(self._model, data)
        torque = np.zeros(JOINTS)
        mujoco.mj_rne(self._model, data, 0, torque)
        return torque
