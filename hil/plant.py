"""The physics of the emulated cell: one MuJoCo world at 1 kHz, with an arm and a hand plant per device of the cell file.

Nothing here knows of protocols, errors or clocks: `World.step` advances one millisecond whenever it is called. The
state a millisecond ends in, and the forces that acted in it, are what the plants then report.
"""

import mujoco
import numpy as np

from hil.plant_arm import ArmPlant
from hil.plant_hand import HandPlant
from hil.scenes.table import GOAL, MOVABLES, OBJECTS, build_scene, random_poses
from runtime.cell import Cell
from runtime.errors import SinewError

STEP_NS = 1_000_000
_PLACE_TRIES = 50
_DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


class PlantError(SinewError):
    """The world was asked for something it does not have, or was driven into a state that is no longer physical."""


class World:
    """Everything physical in an emulated cell. `seed` None takes the cell file's.

    Raises:
        SinewError: the cell has no part 'emulated'.
    """

    def __init__(self, cell: Cell, seed: int | None = None) -> None:
        if cell.emulated is None:
            raise PlantError(f"cell '{cell.name}' has no key 'emulated': it is a real cell and has no physics to run")
        self.cell = cell
        self.time_ns = 0
        self.model = mujoco.MjModel.from_xml_string(build_scene(cell))
        self.data = mujoco.MjData(self.model)
        self._contact_torque = np.zeros(self.model.nv)
        with_hand = {hand.arm for hand in cell.hands.values()}
        self.arms = {
            name: ArmPlant(self.model, self.data, self._contact_torque, name, arm, with_hand=name in with_hand)
            for name, arm in cell.arms.items()
        }
        self.hands = {name: HandPlant(self.model, self.data, self._contact_torque, name) for name in cell.hands}
        self._object_qpos = {}
        for name in MOVABLES:
            address = int(self.model.joint(name).qposadr[0])
            self._object_qpos[name] = self.data.qpos[address : address + 7]
        # Parts of arms and hands have a bit of their own; bit 0 alone is the environment (`contact_bits`).
        self._is_robot_geom = self.model.geom_contype > 1
        self._is_object_geom = np.zeros(self.model.ngeom, dtype=bool)
        self._is_object_geom[[self.model.geom(name).id for name in MOVABLES]] = True
        self.reset(cell.emulated.seed if seed is None else seed)

    def reset(self, seed: int) -> None:
        """Put every object at its pose for this seed. Arms, hands and time go on as they are.

        A pose that an arm occupies is drawn again, so that nothing appears inside a gripper.

        Raises:
            PlantError: the arms leave no room.
        """
        rng = np.random.default_rng(seed)
        for _ in range(_PLACE_TRIES):
            for name, (position_m, quat) in random_poses(self.cell, rng).items():
                self._place(name, position_m, quat)
            mujoco.mj_forward(self.model, self.data)
            if not self._object_touches_robot():
                return
        raise PlantError(
            f"scene of cell '{self.cell.name}': no room for the objects, the arms are in the way: home them"
        )

    def step(self) -> None:
        """Advance by one millisecond.

        Raises:
            PlantError: the simulation diverged (MuJoCo reset it): a controller that no robot would survive.
        """
        for hand in self.hands.values():
            hand.before_step()
        for arm in self.arms.values():
            arm.before_step()
        data = self.data
        mujoco.mj_step(self.model, data)
        # Rows are ordered equality, friction, limit, contact: the contacts' share alone is what a robot feels as external.
        first = data.ne + data.nf + data.nl
        if data.nefc > first:
            rows = data.efc_J.reshape(data.nefc, self.model.nv)[first:]
            np.matmul(data.efc_force[first:], rows, out=self._contact_torque)
        else:
            self._contact_torque[:] = 0.0
        for arm in self.arms.values():
            arm.after_step()
        self.time_ns += STEP_NS
        if any(data.warning[kind].number for kind in _DIVERGED):
            raise PlantError(
                f"cell '{self.cell.name}': the physics diverged at {self.time_ns / 1e9:.3f} s: the commanded torque "
                "is unstable; lower the controller's stiffness or damping and start the cell again"
            )

    def objects(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Pose of every object: position (3,) [m, world frame] and quaternion (4,) w, x, y, z."""
        poses = {name: (qpos[:3].copy(), qpos[3:].copy()) for name, qpos in self._object_qpos.items()}
        poses[GOAL] = (self.data.mocap_pos[0].copy(), self.data.mocap_quat[0].copy())
        return poses

    def set_object(self, name: str, position_m: np.ndarray, quat: np.ndarray) -> None:
        """Put one object somewhere, at rest. Position (3,) [m, world frame], quaternion (4,) w, x, y, z.

        Raises:
            PlantError: no such object, or a pose that is not finite.
        """
        if name not in OBJECTS:
            raise PlantError(f"scene 'table' has no object '{name}': it has {list(OBJECTS)}")
        position, rotation = np.asarray(position_m, dtype=float), np.asarray(quat, dtype=float)
        if position.shape != (3,) or rotation.shape != (4,) or not np.isfinite([*position, *rotation]).all():
            raise PlantError(
                f"object '{name}': a pose is 3 metres and a quaternion of 4, finite: {position}, {rotation}"
            )
        norm = float(np.linalg.norm(rotation))
        if norm < 1e-6:
            raise PlantError(f"object '{name}': the quaternion {rotation} has no direction")
        self._place(name, position, rotation / norm)
        mujoco.mj_forward(self.model, self.data)

    def _place(self, name: str, position_m: np.ndarray, quat: np.ndarray) -> None:
        if name == GOAL:
            self.data.mocap_pos[0], self.data.mocap_quat[0] = position_m, quat
            return
        joint = self.data.joint(name)
        joint.qpos[:3], joint.qpos[3:] = position_m, quat
        joint.qvel[:] = 0.0

    def _object_touches_robot(self) -> bool:
        pairs = self.data.contact.geom
        for one, other in ((0, 1), (1, 0)):
            if np.any(self._is_object_geom[pairs[:, one]] & self._is_robot_geom[pairs[:, other]]):
                return True
        return False
