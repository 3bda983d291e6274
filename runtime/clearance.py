"""How far the arm's capsules are from each other and from the walls and boxes of its workspace (pin with coal).

Distances of 85 capsule pairs take 6 us that way; capsule code of our own in plain Python took 50 times as long, so there
is none. Meshes would take 10 000 times as long.
"""

from collections.abc import Sequence
from enum import IntEnum

import coal
import numpy as np
import pinocchio as pin

from runtime.cell import Workspace
from runtime.robot import HAND_LINK, Capsule, RobotModel


class PairKind(IntEnum):
    """What a capsule is near to."""

    SELF = 0
    HALF_SPACE = 1
    KEEP_OUT = 2


class Clearance:
    """Smallest distance over all pairs, each less what it must keep.

    Self pairs and keep-out boxes must keep `clearance_m`. Links keep it from half-spaces too; the hand or tool may go down
    to the very surface, because that is where it works.

    Left out: neighbouring links and links two joints apart (they overlap or touch by construction, whatever the joint
    angles), and the base and first link against the workspace (they do not move).
    """

    def __init__(self, robot: RobotModel, workspace: Workspace, clearance_m: float) -> None:
        self._clearance_m = clearance_m
        self._model = robot.model()
        self._data = self._model.createData()
        self._geometry = pin.GeometryModel()
        self.names: list[str] = []
        self.kinds: list[PairKind] = []
        bodies = [self._add_capsule(index, capsule) for index, capsule in enumerate(robot.capsules)]
        for i, (first, first_joint) in enumerate(bodies):
            for j, (second, second_joint) in list(enumerate(bodies))[i + 1 :]:
                tool = HAND_LINK in (robot.capsules[i].link, robot.capsules[j].link)
                if abs(second_joint - first_joint) > (1 if tool else 2):
                    self._pair(first, second, PairKind.SELF)
        for half_space in workspace.half_spaces:
            normal = np.array(half_space.normal)
            for tool, offset_m in ((False, half_space.offset_m), (True, half_space.offset_m - clearance_m)):
                name = half_space.name + (" (tool)" if tool else "")
                wall = self._add(name, 0, pin.SE3.Identity(), coal.Halfspace(normal, offset_m))
                for i, (body, joint) in enumerate(bodies):
                    if joint > 1 and (robot.capsules[i].link == HAND_LINK) is tool:
                        self._pair(body, wall, PairKind.HALF_SPACE)
        for box in workspace.keep_out:
            solid = self._add(box.name, 0, pin.SE3(np.eye(3), np.array(box.center_m)), coal.Box(*box.size_m))
            for body, joint in bodies:
                if joint > 1:
                    self._pair(body, solid, PairKind.KEEP_OUT)
        self._geometry_data = self._geometry.createData()

    def __len__(self) -> int:
        return len(self.kinds)

    def slack(self, q: Sequence[float]) -> tuple[float, int]:
        """(how much more [m] than it must the nearest pair keeps at `q`, index of that pair). Negative: too near."""
        index = pin.computeDistances(self._model, self._data, self._geometry, self._geometry_data, np.array(q))
        return self._geometry_data.distanceResults[index].min_distance - self._clearance_m, index

    def _add(self, name: str, joint: int, placement: pin.SE3, shape: coal.CollisionGeometry) -> int:
        return self._geometry.addGeometryObject(pin.GeometryObject(name, joint, placement, shape))

    def _add_capsule(self, index: int, capsule: Capsule) -> tuple[int, int]:
        frame = self._model.frames[self._model.getFrameId("link8" if capsule.link == HAND_LINK else capsule.link)]
        start, end = np.array(capsule.start_m), np.array(capsule.end_m)
        length = float(np.linalg.norm(end - start))
        turn = pin.Quaternion.FromTwoVectors(np.array([0.0, 0.0, 1.0]), end - start).toRotationMatrix()
        placement = frame.placement * pin.SE3(turn, (start + end) / 2)
        body = self._add(
            f"{capsule.link}_{index}", frame.parentJoint, placement, coal.Capsule(capsule.radius_m, length)
        )
        return body, frame.parentJoint

    def _pair(self, first: int, second: int, kind: PairKind) -> None:
        self._geometry.addCollisionPair(pin.CollisionPair(first, second))
        objects = self._geometry.geometryObjects
        self.names.append(f"{objects[first].name} and {objects[second].name}")
        self.kinds.append(kind)
