"""One arm inside the step: its view, its gate, and what was decided for it in this tick."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runtime.cell import Arm as ArmConfig
from runtime.gate.gate import Gate
from runtime.gate.types import ArmFacts, Candidate, Decision
from runtime.loop.arm_view import ArmView
from runtime.loop.ports import Ports
from runtime.modes.causes import Cause, bit
from runtime.modes.machine import COMMANDING, ModeState
from runtime.ring import RowMeta, RowStatus
from runtime.rows import CommandMode
from runtime.rows_rt import SourceKind
from runtime.sources.base import Joints, Target
from runtime.sources.goto import MoveLimits
from runtime.sources.hold import ZERO

COMMAND_MODES = {
    "joint_velocity": CommandMode.JOINT_VELOCITY,
    "joint_impedance": CommandMode.JOINT_IMPEDANCE,
    "cartesian_impedance": CommandMode.CARTESIAN_IMPEDANCE,
}


@dataclass(frozen=True)
class Kit:
    """What is known of an arm once its robot is connected: the gate, and what sources may use."""

    gate: Gate
    moves: MoveLimits
    lower: Joints  # joint positions that sources stay inside [rad]
    upper: Joints
    pose: Callable[[Joints], np.ndarray]  # T_base_ee at joint positions


class Tick(NamedTuple):
    """What all arms of a group share in one tick. `hand`: the dead-man's switch, where one is needed, is held."""

    now_ns: int
    number: int
    hand: bool
    speed: float


class Arm:
    """State of one arm between ticks."""

    def __init__(self, index: int, name: str, config: ArmConfig, period_ns: int) -> None:
        self.index, self.name, self.config = index, name, config
        self.period_ns = period_ns
        self.valid_ns = round(config.watchdog_ms * 1e6)
        self.command_mode = COMMAND_MODES[config.command_mode]
        self.view = ArmView()
        self.seen: np.void | None = None  # the row read in this tick, fresh or not
        self.meta = RowMeta(0, 0, 0)
        self.status = RowStatus.ABSENT
        self.kit: Kit | None = None
        self.epoch = 0  # of limits: 0 not known, 1 known, 2 another robot answers
        self.q: Joints = ZERO  # last command
        self.dq: Joints = ZERO
        self.source = SourceKind.NONE
        self.target: Target | None = None
        self.decision: Decision | None = None
        self.judged = False  # the gate was asked in this tick

    def observe(self, now_ns: int, ports: Ports, armed: int, generation: int) -> int:
        """Read the state row; returns the mask of conditions."""
        self.seen, self.meta, self.status = ports.arm_state(self.index, now_ns)
        found = self.view.observe(now_ns, self.seen, self.meta, self.status, armed, generation)
        if self.epoch != 1:
            found |= bit(Cause.ROBOT_CHANGED if self.epoch else Cause.NO_LIMITS)
        self.view.conditions = found
        return found

    def resync(self) -> bool:
        """Commanded becomes measured; False while there is no fresh state or no limits."""
        self.decision, self.target = None, None
        if self.view.row is None or self.kit is None:
            return False
        self.q, self.dq = self.view.resting_set_point(), ZERO
        self.kit.gate.reset(self.q)
        return True

    def judge(
        self, tick: Tick, state: ModeState, target: Target | None, source: SourceKind, *, guarded: bool
    ) -> Decision:
        """Ask the gate; its answer is the command."""
        assert self.kit is not None
        gate = self.kit.gate
        self.target, self.source = target, source
        candidate = None
        if target is not None:
            candidate = Candidate(
                produced_ns=tick.now_ns,
                due_ns=tick.now_ns,
                sequence=tick.number,
                generation=state.generation,
                source=int(source),
                session=0,
                joint_order=gate.robot.joint_order,
                frame=gate.robot.frame,
                q=target.q,
                dq=target.dq,
                guarded=guarded,
                trace=tick.number,
            )
        armed = state.mode in COMMANDING
        return self._take(gate.decide(tick.now_ns, candidate, self._facts(), armed, tick.hand, tick.speed))

    def _facts(self) -> ArmFacts | None:
        row = self.view.row
        if row is None:
            return None
        return ArmFacts(
            self.meta.stamp_ns,
            self.view.q,
            row["wrench_base"].tolist(),
            int(row["driver_state"]),
            int(row["robot_mode"]),
        )

    def abort(self, now_ns: int) -> Decision:
        """Another arm of the group stops: the stop stored before this tick runs instead of what was decided in it."""
        assert self.kit is not None
        return self._take(self.kit.gate.abort(now_ns))

    def _take(self, decision: Decision) -> Decision:
        self.judged = True
        self.decision, self.q, self.dq = decision, tuple(decision.q), tuple(decision.dq)
        return decision
