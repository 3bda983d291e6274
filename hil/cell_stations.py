"""The servers of an emulated cell over its one world, and what can be asked of them. No process, no printing."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from hil.cell_requests import ClearFaults, ListFaults, Objects, Place, RaiseFault, Scatter, Status, Time, parse
from hil.fci.arm_server import ArmServer, Tool
from hil.fci.hand_server import HandServer
from hil.fci.panel import FaultPanel, fault_table
from hil.fci.profile import Profile
from hil.fci.protocol import Generator
from hil.plant import World
from hil.scenes.fr3 import HAND_INERTIA, urdf
from hil.scenes.table import T_world_pose
from runtime.cell import Arm, Cell
from runtime.clock import Clock

NS_PER_S = 1_000_000_000


def desk_tool(arm: Arm, *, with_hand: bool) -> Tool:
    """What Desk says is mounted: the end-effector frame of the cell file, the hand's mass where there is one."""
    inertia = HAND_INERTIA
    return Tool(
        F_T_NE=T_world_pose(arm.T_flange_ee),
        mass_kg=inertia.mass_kg if with_hand else 0.0,
        center_m=inertia.center_m if with_hand else (0.0, 0.0, 0.0),
        inertia_kg_m2=np.diag(inertia.inertia_kg_m2) if with_hand else np.zeros((3, 3)),
    )


class CellStations:
    """World, arm servers, hand servers and fault panel of one cell.

    Args:
        cell: an emulated cell.
        profile: how its time relates to the clock and to the clients' answers.
        seed: of the objects' poses; None takes the cell file's.
        clock: monotonic.
        report: takes one sentence per thing worth telling people.

    Raises:
        SinewError: no emulated cell, no loopback address, or a port in use (its holder is named); nothing stays open.
    """

    def __init__(
        self, cell: Cell, profile: Profile, seed: int | None, clock: Clock, report: Callable[[str], None]
    ) -> None:
        self.cell, self.profile = cell, profile
        self.world = World(cell, seed)
        self.arms: dict[str, ArmServer] = {}
        self.hands: dict[str, HandServer] = {}
        hand_of = {hand.arm: name for name, hand in cell.hands.items()}
        model = urdf()
        with ExitStack() as opened:
            for name, arm in cell.arms.items():
                self.arms[name] = server = ArmServer(
                    name,
                    arm.host,
                    self.world.arms[name],
                    profile,
                    urdf=model,
                    tool=desk_tool(arm, with_hand=name in hand_of),
                    clock=clock,
                    report=report,
                )
                opened.callback(server.close)
            for name, hand in cell.hands.items():
                host = cell.arms[hand.arm].host
                self.hands[name] = hand_server = HandServer(host, self.world.hands[name], clock, report)
                opened.callback(hand_server.close)
            self._opened = opened.pop_all()
        self.panel = FaultPanel(self.arms, {arm: self.hands[hand] for arm, hand in hand_of.items()}, report)

    def after_step(self, robot_time_ns: int) -> None:
        """The hands' and the panel's turn, once per millisecond after the arms'."""
        for hand in self.hands.values():
            hand.step(robot_time_ns)
        self.panel.step(robot_time_ns)

    def close(self) -> None:
        """Drop every client and free the ports."""
        self._opened.close()

    # --- what can be asked --------------------------------------------------------------------------------------

    def answer(self, fields: dict[str, Any]) -> object:
        """Do what a request of the panel's wire asks; returns plain values. Raises SinewError to refuse."""
        request = parse(fields)
        if isinstance(request, RaiseFault):
            return str(self.panel.raise_fault(request.arm, request.name, request.at_s, **request.arguments))
        if isinstance(request, ListFaults):
            return [{"name": name, "says": says, "arguments": takes} for name, says, takes in fault_table()]
        if isinstance(request, ClearFaults):
            self.panel.clear(request.arm)
        elif isinstance(request, Status):
            return self.status()
        elif isinstance(request, Time):
            return self.world.time_ns / NS_PER_S
        elif isinstance(request, Objects):
            return self.objects()
        elif isinstance(request, Place):
            self.world.set_object(request.name, np.array(request.xyz_m), np.array(request.quat_wxyz))
        elif isinstance(request, Scatter):
            self.world.reset(request.seed)
        return None

    def status(self) -> dict[str, Any]:
        """What every device is doing, in plain values."""
        return {
            "cell": self.cell.name,
            "profile": self.profile.value,
            "robot_time_s": self.world.time_ns / NS_PER_S,
            "arms": {name: self._arm_status(server) for name, server in self.arms.items()},
            "hands": {name: self._hand_status(name, server) for name, server in self.hands.items()},
            "pending_faults": [str(fault) for fault in self.panel.pending],
        }

    def objects(self) -> dict[str, dict[str, list[float]]]:
        """Poses of the objects by name: `xyz_m` and `quat_wxyz`, world frame."""
        return {
            name: {"xyz_m": position.tolist(), "quat_wxyz": quat.tolist()}
            for name, (position, quat) in self.world.objects().items()
        }

    def _arm_status(self, server: ArmServer) -> dict[str, Any]:
        robot, counts = server.robot, server.counts
        motion = robot.motion
        return {
            "host": server.host,
            "connected": server.client_connected,
            "connections": server.link.connections,
            "mode": robot.mode.name.lower(),
            "control": motion.controller.name.lower() if motion else None,
            "generator": Generator(motion.request.generator).name.lower() if motion else None,
            "q": robot.q.tolist(),
            "dq": robot.dq.tolist(),
            "T_base_ee": robot.T_base_ee.tolist(),
            "errors": [flag.name.lower() for flag in sorted(robot.errors)],
            "reflexes": robot.reflexes,
            "ticks": counts.ticks,
            "commands": counts.commands,
            "late_commands": counts.late_commands,
            "missed": counts.missed,
            "most_missed_in_a_row": counts.most_missed_in_a_row,
        }

    def _hand_status(self, name: str, server: HandServer) -> dict[str, Any]:
        running = server.motion.running
        return {
            "connected": server.connected,
            "width_m": self.world.hands[name].width_m,
            "is_grasped": server.motion.is_grasped,
            "grip_force_n": self.world.hands[name].grip_force_n,
            "running": type(running).__name__.lower() if running else None,
            "faults": server.faults(self.world.time_ns),
        }
