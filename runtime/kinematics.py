"""Where tool and elbow are and how fast they move, in plain floats. Frames: the robot's base."""

import math
from collections.abc import Sequence

import numpy as np
import pinocchio as pin

from runtime.robot import RobotModel

Vector3 = tuple[float, float, float]
ELBOW_JOINT = 4  # the elbow is the origin of this joint


class Kinematics:
    """Forward kinematics of one robot. `set` first; the rest answers for that state. Not to be shared by threads.

    Attributes:
        reach: per joint, how far from it [m] the end effector can be.
    """

    def __init__(self, robot: RobotModel) -> None:
        self.model = robot.model()
        self.data = self.model.createData()
        self._ee = self.model.getFrameId("ee")
        self._elbow = self.model.getJointId(robot.names[ELBOW_JOINT - 1])
        # No point of the arm is further from joint j than the links behind it are long, stretched out.
        links = [float(np.linalg.norm(one.translation)) for one in list(self.model.jointPlacements)[2:]]
        links.append(float(np.linalg.norm(self.model.frames[self._ee].placement.translation)))
        self.reach = tuple(sum(links[joint:]) for joint in range(len(links)))

    def set(self, q: Sequence[float], dq: Sequence[float]) -> None:
        """Positions (7,) [rad] and velocities (7,) [rad/s]."""
        pin.forwardKinematics(self.model, self.data, np.array(q), np.array(dq))

    def tcp(self) -> Vector3:
        """Position [m] of the end effector."""
        x, y, z = pin.updateFramePlacement(self.model, self.data, self._ee).translation.tolist()
        return x, y, z

    def elbow(self) -> Vector3:
        """Position [m] of the elbow."""
        x, y, z = self.data.oMi[self._elbow].translation.tolist()
        return x, y, z

    def speeds(self) -> tuple[float, float, float]:
        """Speed of the tool [m/s], of the elbow [m/s], and how fast the tool turns [rad/s]."""
        tool = pin.getFrameVelocity(self.model, self.data, self._ee).vector.tolist()
        elbow = self.data.v[self._elbow].vector.tolist()
        return math.hypot(*tool[:3]), math.hypot(*elbow[:3]), math.hypot(*tool[3:])

    def smallest_singular_value(self, q: Sequence[float]) -> float:
        """Of the end effector's Jacobian (6, 7) at `q`: 0 where the arm cannot move in some direction."""
        J = self.jacobian(q)
        # Eigenvalues of J J^T: a third of the cost of a singular value decomposition. Rounding may leave one below zero.
        return math.sqrt(max(0.0, float(np.linalg.eigvalsh(J @ J.T)[0])))

    def jacobian(self, q: Sequence[float]) -> np.ndarray:
        """(6, 7) at `q`: velocity [m/s] over rotation [rad/s] of the end effector in base axes, per joint velocity."""
        return pin.computeFrameJacobian(self.model, self.data, np.array(q), self._ee, pin.LOCAL_WORLD_ALIGNED)

    def pose(self, q: Sequence[float]) -> np.ndarray:
        """T_base_ee (4, 4) at `q`."""
        pin.forwardKinematics(self.model, self.data, np.array(q))
        return pin.updateFramePlacement(self.model, self.data, self._ee).homogeneous

    def twist_to(self, T_base_ee: np.ndarray, q: Sequence[float]) -> np.ndarray:
        """(6,) the motion [m, rad] in base axes that leads from the pose at `q` to `T_base_ee`."""
        T = self.pose(q)
        rotation = pin.log3(T_base_ee[:3, :3] @ T[:3, :3].T)
        return np.concatenate([T_base_ee[:3, 3] - T[:3, 3], rotation])
