"""One arm in the emulated world: torque in; position, velocity and true external forces out.

Signs: `tau_ext` and `wrench_ext` are what the surroundings do to the robot (a weight hung on the hand gives a negative
z force). libfranka reports the opposite: "forces applied by the robot to the environment are positive"
(`tau_ext_hat_filtered`, `O_F_ext_hat_K`); whoever speaks its protocol turns the sign.
"""

import mujoco
import numpy as np

from hil.plant_model import ArmModel
from hil.scenes.fr3 import JOINTS, TORQUE_NM, T_flange_ee_hand
from runtime.cell import Arm

# Damping of the wrench estimate near singular positions, as a share of the Jacobian's scale: small enough to be exact
# to 1e-6 elsewhere.
_WRENCH_DAMPING = 1e-8


class ArmPlant:
    """An arm of the world. Base axes are those of the arm's own base; gravity is compensated as the robot does."""

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        contact_torque: np.ndarray,
        name: str,
        arm: Arm,
        *,
        with_hand: bool,
    ) -> None:
        self.name = name
        self._model, self._data = model, data
        joints = [model.joint(f"arm.{name}.joint{number}") for number in range(1, JOINTS + 1)]
        first_q, first_v = int(joints[0].qposadr[0]), int(joints[0].dofadr[0])
        self._qpos = data.qpos[first_q : first_q + JOINTS]
        self._qvel = data.qvel[first_v : first_v + JOINTS]
        self._applied = data.qfrc_applied[first_v : first_v + JOINTS]
        self._contact = contact_torque[first_v : first_v + JOINTS]
        self._dofs = slice(first_v, first_v + JOINTS)
        self._links = [model.body(f"arm.{name}.link{number}").id for number in range(JOINTS + 1)]
        self._links.append(model.body(f"arm.{name}.hand").id)
        brakes = [model.equality(f"arm.{name}.brake{number}").id for number in range(1, JOINTS + 1)]
        self._brakes = np.array(brakes)
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.body_quat[self._links[0]])
        self._R_world_base = rotation.reshape(3, 3)
        gravity = self._R_world_base.T @ model.opt.gravity
        self._rigid = ArmModel(with_hand=with_hand, gravity_base_m_s2=gravity)
        self._carried_kg = arm.load.mass_kg  # what the flange really carries, told or not
        self._carried = ArmModel(with_hand=False, gravity_base_m_s2=gravity)
        self._carried.set_load(arm.load.mass_kg, np.array(arm.load.center_m), np.zeros((3, 3)))
        self._tau_command = np.zeros(JOINTS)
        self._push_link, self._push_world_n, self._push_steps = 0, np.zeros(3), 0
        self._pushing = False
        self._jacobian = np.zeros((3, model.nv))
        self._tau_ext = np.zeros(JOINTS)
        # T_flange_K: the stiffness frame about which `wrench_ext` is given; the robot's default is the end effector.
        self.T_flange_k = T_flange_ee_hand()
        self._qpos[:] = arm.home_q_rad

    @property
    def q(self) -> np.ndarray:
        """(7,) [rad] measured."""
        return self._qpos.copy()

    @property
    def dq(self) -> np.ndarray:
        """(7,) [rad/s] measured."""
        return self._qvel.copy()

    def apply_torque(self, tau_nm: np.ndarray) -> None:
        """Joint torque (7,) [Nm] on top of gravity compensation, until the next call; cut at what the motors give.

        Raises:
            ValueError: a torque that is not finite: it would destroy the world.
        """
        if not np.isfinite(tau_nm).all():
            raise ValueError(f"arm '{self.name}': joint torque must be finite: {tau_nm}")
        np.clip(tau_nm, -TORQUE_NM, TORQUE_NM, out=self._tau_command)

    def tau_ext(self) -> np.ndarray:
        """(7,) [Nm] joint torque of everything external in the last step: contacts, pushes, and a load it was not told of.

        Joint stops, brakes and the like are not in it.
        """
        return self._tau_ext.copy()

    def wrench_ext(self) -> np.ndarray:
        """(6,) external force [N] and torque [Nm] about the origin of frame K, in base axes.

        The wrench at the hand that explains `tau_ext`, as the robot itself estimates it: exact for whatever acts on
        hand and flange, damped towards zero in singular positions.
        """
        tau = self._tau_ext
        if not tau.any():
            return np.zeros(6)
        J = self._rigid.jacobian(self._qpos, self.T_flange_k)
        square = J @ J.T
        damping = _WRENCH_DAMPING * np.trace(square)
        return np.linalg.solve(square + damping * np.eye(6), J @ tau)

    def fk(self, q: np.ndarray, T_flange_point: np.ndarray) -> np.ndarray:
        """(4, 4) T_base_point at joint position `q` (7,) of a point fixed to the flange."""
        return self._rigid.fk(q, T_flange_point)

    def jacobian(self, q: np.ndarray, T_flange_point: np.ndarray) -> np.ndarray:
        """(6, 7) of that point's velocity: three linear rows, three angular rows, base axes."""
        return self._rigid.jacobian(q, T_flange_point)

    def mass_matrix(self, q: np.ndarray) -> np.ndarray:
        """(7, 7) [kg m2] of links, hand and declared load; the motors' share is not in it, as in libfranka."""
        return self._rigid.mass_matrix(q)

    def coriolis(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        """(7,) [Nm] of links, hand and declared load."""
        return self._rigid.coriolis(q, dq)

    def gravity(self, q: np.ndarray) -> np.ndarray:
        """(7,) [Nm] that the robot adds by itself to hold links, hand and declared load up."""
        return self._rigid.gravity(q)

    def push(self, link: int, force_n: np.ndarray, duration_ms: int) -> None:
        """Push with a force (3,) [N, base axes] for a time: at the centre of mass of link 1 to 7, or (8) of the hand.

        A new push replaces the one that is under way.

        Raises:
            ValueError: no such link, a force that is not finite, or a negative time.
        """
        force = np.asarray(force_n, dtype=float)
        if not 1 <= link <= JOINTS + 1:
            raise ValueError(f"push on link {link}: links are 1 to 7, 8 is the hand")
        if force.shape != (3,) or not np.isfinite(force).all() or duration_ms < 0:
            raise ValueError(f"push of {force} N for {duration_ms} ms: three finite newtons and a time >= 0 are needed")
        self._end_push()
        self._push_link, self._push_steps = self._links[link], int(duration_ms)
        self._push_world_n = self._R_world_base @ force

    def set_load(self, mass_kg: float, center_m: np.ndarray, inertia_kg_m2: np.ndarray) -> None:
        """Tell the controller what the flange carries besides the hand; it compensates that weight from now on.

        Centre (3,) in the flange frame, inertia (3, 3) about it. Nothing is hung on the arm by this: what is really
        there is the cell file's load, and whatever the fingers hold.
        """
        self._rigid.set_load(mass_kg, np.asarray(center_m, dtype=float), np.asarray(inertia_kg_m2, dtype=float))

    def set_brakes(self, locked: bool) -> None:
        """Close the brakes: every joint is held where it is, whatever torque is applied. Or open them."""
        if locked and not self._data.eq_active[self._brakes].all():
            self._model.eq_data[self._brakes, 0] = self._qpos
        self._data.eq_active[self._brakes] = locked

    def before_step(self) -> None:
        """Hand this millisecond's forces to the world (called by `World.step`)."""
        self._applied[:] = self._tau_command
        if self._rigid.load_mass_kg > 0:
            self._applied += self._rigid.load_weight_torque(self._qpos)
        self._pushing = self._push_steps > 0
        if self._pushing:
            self._push_steps -= 1
            self._data.xfrc_applied[self._push_link, :3] = self._push_world_n

    def after_step(self) -> None:
        """Note what acted in this millisecond (called by `World.step`). Jacobians are still those of its beginning."""
        tau = self._tau_ext
        tau[:] = self._contact
        if self._pushing:
            mujoco.mj_jacBodyCom(self._model, self._data, self._jacobian, None, self._push_link)
            tau += self._push_world_n @ self._jacobian[:, self._dofs]
            if self._push_steps == 0:
                self._end_push()
        if self._carried_kg > 0 or self._rigid.load_mass_kg > 0:
            # A weight that hangs there but was not declared pulls; one that was declared but is absent lifts.
            tau += self._rigid.load_weight_torque(self._qpos) - self._carried.load_weight_torque(self._qpos)

    def _end_push(self) -> None:
        if self._push_link:
            self._data.xfrc_applied[self._push_link, :3] = 0.0
        self._push_steps = 0
