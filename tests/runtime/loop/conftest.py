"""A world for the step: ports in memory, arms that follow exactly, the real gate, and a clock that is told."""

import json

import numpy as np
import pytest

from hil.scenes.fr3 import T_flange_ee_hand, urdf
from runtime.cell import Cell
from runtime.loop.kit import build_kit, parse_identity
from runtime.loop.step import Rt
from runtime.modes.machine import Mode
from runtime.ring import RowMeta, RowStatus
from runtime.rows import ARM_COMMAND, ARM_STATE, ArmActivity, DriverState, RobotMode
from runtime.rows_rt import RT_MODES, RT_PLAN, RT_REQUEST, RT_TICK, RtRequestKind, SourceKind
from runtime.sources.plan import Plan

HOME = (0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398)
START_NS = 10_000_000_000
FIRST_GENERATION = 1000


@pytest.fixture
def state_row():
    def make(**fields):
        row = np.zeros(1, ARM_STATE)[0]
        row["q"] = row["q_d"] = HOME
        row["robot_mode"], row["driver_state"] = RobotMode.IDLE, DriverState.OK
        row["activity"] = ArmActivity.IDLE
        for name, value in fields.items():
            row[name] = value
        return row

    return make


class FollowingArm:
    """A driver and arm that apply every acceptable row at once: a state row per tick."""

    def __init__(self):
        self.row = np.zeros(1, ARM_STATE)[0]
        self.row["q"] = self.row["q_d"] = HOME
        self.row["robot_mode"], self.row["driver_state"] = RobotMode.IDLE, DriverState.OK
        self.sequence = 0
        self.session = 99
        self.silent = False  # its rows stop coming
        self.deaf = False  # it applies nothing any more
        self.stamp_ns = START_NS

    def enable(self, generation):
        self.row["activity"], self.row["enabled_generation"] = ArmActivity.STREAMING, generation

    def disable(self):
        self.row["activity"], self.row["enabled_generation"] = ArmActivity.IDLE, 0

    def turn(self, now_ns, commands):
        if self.silent:
            return
        self.sequence += 1
        self.stamp_ns = now_ns
        self.row["robot_time_ns"] += 5_000_000
        self.row["dq"] = 0.0
        if not self.deaf and commands and self.row["activity"] == ArmActivity.STREAMING:
            sequence, command = commands[-1]
            if sequence > self.row["ack_sequence"] and command["generation"] >= self.row["enabled_generation"]:
                self.row["enabled_generation"] = command["generation"]
                self.row["q"] = self.row["q_d"] = self.row["ack_q"] = command["q"]
                self.row["dq"] = command["dq"]
                self.row["ack_sequence"], self.row["ack_generation"] = sequence, command["generation"]


class MemoryPorts:
    """Ports whose rings are lists."""

    def __init__(self, arms):
        self.arms = [FollowingArm() for _ in range(arms)]
        self.commands = [[] for _ in range(arms)]
        self.ticks = [[] for _ in range(arms)]
        self.modes = []
        self.pending, self.sent_requests = [], []
        self.plans, self.sent_plans = [], []
        self.supervisor_ns = None
        self._command = [np.zeros(1, ARM_COMMAND)[0] for _ in range(arms)]
        self._tick = [np.zeros(1, RT_TICK)[0] for _ in range(arms)]
        self._modes = np.zeros(1, RT_MODES)[0]

    def arm_state(self, arm, now_ns):
        one = self.arms[arm]
        if one.sequence == 0:
            return None, RowMeta(0, 0, 0), RowStatus.ABSENT
        return one.row, RowMeta(one.sequence, one.session, one.stamp_ns), RowStatus.FRESH

    def requests(self):
        while self.pending:
            yield self.pending.pop(0)

    def plan_rows(self):
        while self.plans:
            yield self.plans.pop(0)

    def supervisor_age_ns(self, now_ns):
        return -1 if self.supervisor_ns is None else now_ns - self.supervisor_ns

    def command_row(self, arm):
        return self._command[arm]

    def write_command(self, arm, now_ns):
        self.commands[arm].append((len(self.commands[arm]) + 1, self._command[arm].copy()))
        return len(self.commands[arm])

    def tick_row(self, arm):
        return self._tick[arm]

    def write_tick(self, arm, now_ns):
        self.ticks[arm].append(self._tick[arm].copy())

    def modes_row(self):
        return self._modes

    def write_modes(self, now_ns):
        self.modes.append(self._modes.copy())


class World:
    """One rt over following arms; `run(n)` turns n ticks."""

    def __init__(self, cell, kits):
        self.cell = cell
        self.ports = MemoryPorts(len(cell.arms))
        self.rt = Rt(cell, self.ports, START_NS, FIRST_GENERATION)
        self.period_ns = self.rt.period_ns
        self.now_ns = START_NS
        self.supervised = True
        for index, kit in enumerate(kits):
            self.rt.robot_known(index, kit)

    def run(self, ticks=1, *, late_ns=0, **step):
        for _ in range(ticks):
            for arm, commands in zip(self.ports.arms, self.ports.commands, strict=True):
                arm.turn(self.now_ns, commands)
            if self.supervised:
                self.ports.supervisor_ns = self.now_ns
            self.rt.step(self.now_ns + late_ns, **step)
            self.now_ns += self.period_ns
        return self.modes

    @property
    def modes(self):
        return self.ports.modes[-1]

    def request(self, kind, *, group=0, arm=0, stamp_ns=None, **fields):
        row = np.zeros(1, RT_REQUEST)[0]
        sequence = len(self.ports.sent_requests) + 1
        row["id"], row["kind"], row["group"], row["arm"] = sequence, kind, group, arm
        values = fields.pop("values", ())
        row["values"][: len(values)] = values
        for name, value in fields.items():
            row[name] = value
        entry = (row, RowMeta(sequence, 7, self.now_ns if stamp_ns is None else stamp_ns))
        self.ports.sent_requests.append(entry)
        self.ports.pending.append(entry)

    def ask(self, kind, **fields):
        """Request, one tick, and the answer."""
        self.request(kind, **fields)
        return self.run()

    def plan(self, plan_id, plan):
        for index, (q, dq) in enumerate(zip(plan.q, plan.dq, strict=True)):
            row = np.zeros(1, RT_PLAN)[0]
            row["plan"], row["index"], row["count"], row["arm"] = plan_id, index, len(plan.q), plan.arm
            row["sample_ns"], row["q"], row["dq"] = plan.sample_ns, q, dq
            entry = (row, RowMeta(len(self.ports.sent_plans) + 1, 8, self.now_ns))
            self.ports.sent_plans.append(entry)
            self.ports.plans.append(entry)

    def armed(self, group=0):
        """Still for a while, armed, and every arm of the group enabled by its driver."""
        self.run(15)
        self.ask(RtRequestKind.ARM, group=group)
        for arm in self.rt.groups[group].arms:
            self.ports.arms[arm.index].enable(int(self.modes["generation"][group]))
        self.run(3)
        return self

    @staticmethod
    def small_plan(start, joint=0, reach=0.02, samples=41, arm=0):
        """Out and back by `reach` [rad] in 0.4 s, at rest at both ends."""
        x = np.linspace(0, 2 * np.pi, samples)
        q = np.tile(np.array(start), (samples, 1))
        q[:, joint] += 0.5 * reach * (1 - np.cos(x))
        dq = np.zeros((samples, 7))
        dq[:, joint] = 0.5 * reach * np.sin(x) * 2 * np.pi / (0.01 * (samples - 1))
        return Plan(arm, 10_000_000, tuple(map(tuple, q.tolist())), tuple(map(tuple, dq.tolist())))

    def moving(self):
        """Armed and half-way through a small motion."""
        self.armed()
        self.plan(1, self.small_plan(self.ports.arms[0].row["q"].tolist()))
        self.run(3)
        self.ask(RtRequestKind.RUN, source=SourceKind.WAYPOINTS, plan=1)
        self.run(45)
        assert Mode(self.modes["mode"][0]) is Mode.RUNNING
        assert max(abs(self.ports.arms[0].row["dq"])) > 0.01
        return self

    def home(self, arm=0, group=0):
        """A guarded move of its own, from wherever the arm is."""
        return self.ask(RtRequestKind.RUN, group=group, arm=arm, source=SourceKind.HOME)


def make_cell(arms, rate_hz=200, home=None):
    return Cell.model_validate(
        {
            "schema": "sinew.cell/1",
            "name": "test",
            "emulated": {},
            "arms": {
                name: {
                    "driver": "franka",
                    "host": f"127.0.0.{k + 1}",
                    "T_flange_ee": {"xyz_m": [0, 0, 0.1034], "rpy_rad": [0, 0, -0.7853981633974483]},
                    "home_q_rad": home or [0.2, -0.7, 0.1, -2.2, 0.1, 1.6, 0.9],
                    "stop_group": group,
                }
                for k, (name, group) in enumerate(arms.items())
            },
            "loop": {"rate_hz": rate_hz},
        }
    )


@pytest.fixture(scope="session")
def identity_json():
    return json.dumps(
        {
            "schema": "sinew.arm_identity/1",
            "urdf": urdf(),
            "urdf_sha256": "x",
            "T_flange_ee": T_flange_ee_hand().tolist(),
            # what franky 2.0.0 plans with: the Panda's velocities, below the FR3's own
            "limits": {
                "velocity_rad_s": [2.175] * 4 + [2.61] * 3,
                "acceleration_rad_s2": [10.0] * 7,
                "jerk_rad_s3": [5000.0] * 7,
            },
        }
    ).encode()


@pytest.fixture
def make_world(identity_json):
    def make(arms=None, **cell_fields):
        cell = make_cell(arms or {"main": "all"}, **cell_fields)
        identity = parse_identity(identity_json, "test")
        return World(cell, [build_kit(identity, cell, name, 1_000_000_000 // cell.loop.rate_hz) for name in cell.arms])

    return make


@pytest.fixture
def world(make_world):
    return make_world()
