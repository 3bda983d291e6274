"""The tick: read states, take requests, decide modes, ask sources and gates, write commands and what was done.

`Rt.step(now_ns)` reads no clock and does all its input and output through `Ports`. The same function runs live, under a
manual clock in tests, and in replay, where it gives the same bits.
"""

from runtime.cell import Cell
from runtime.errors import SinewError
from runtime.loop.arm import Arm, Kit
from runtime.loop.asks import Asks
from runtime.loop.group import Group
from runtime.loop.ports import NEVER, Ports
from runtime.loop.record import write_arm, write_modes
from runtime.loop.timing import Timing, TimingWatch
from runtime.modes.causes import Cause, bit
from runtime.rows_rt import MAX_ARMS, MAX_GROUPS
from runtime.sources.plan import TAKEN_PER_TICK, PlanIntake

SUPERVISOR_LOST_NS = 1_000_000_000

_BY_TIMING = {
    Timing.ON_TIME: 0,
    Timing.SLOW: bit(Cause.TICKS_LATE),
    Timing.HOLD: bit(Cause.TICKS_VERY_LATE),
    Timing.GAP: bit(Cause.TICK_GAP),
}


class LoopConfigError(SinewError):
    """The cell has more arms or stop groups than a row of rt can tell of."""


class Rt:
    """The whole state of the loop between ticks.

    Args:
        cell: the checked cell file.
        ports: inputs and outputs.
        start_ns: slot 0 of the grid.
        first_generation: larger than any that an earlier rt of this host has used.

    Raises:
        LoopConfigError: too many arms or stop groups.
    """

    def __init__(self, cell: Cell, ports: Ports, start_ns: int, first_generation: int) -> None:
        names = sorted({arm.stop_group for arm in cell.arms.values()})
        if len(cell.arms) > MAX_ARMS or len(names) > MAX_GROUPS:
            raise LoopConfigError(
                f"cell '{cell.name}': {len(cell.arms)} arms in {len(names)} stop groups; "
                f"one rt runs at most {MAX_ARMS} arms in {MAX_GROUPS} groups: split the cell"
            )
        self.cell, self.ports = cell, ports
        self.period_ns = 1_000_000_000 // cell.loop.rate_hz
        self.timing = TimingWatch(self.period_ns, start_ns, round(cell.loop.stop_gap_ms * 1e6))
        self.arms = [Arm(k, name, arm, self.period_ns) for k, (name, arm) in enumerate(cell.arms.items())]
        self.groups = [
            Group(
                name,
                [one for one in self.arms if one.config.stop_group == name],
                first_generation,
                self.period_ns,
            )
            for name in names
        ]
        self.plans = PlanIntake()
        self.asks = Asks(self.groups, self.arms, self.plans)
        self.tick = 0
        self.plan_sequence = 0

    def robot_known(self, arm: int, kit: Kit) -> None:
        """The limits of an arm's robot are known; from the next tick on it may be armed."""
        self.arms[arm].kit, self.arms[arm].epoch = kit, 1

    def robot_changed(self, arm: int) -> None:
        """Another robot answers than the one whose limits are known: nothing but a restart helps."""
        self.arms[arm].epoch = 2

    @property
    def commanding(self) -> bool:
        """Some arm may be moving on our account."""
        return any(group.armed for group in self.groups)

    def step(self, now_ns: int, work_ns: int = 0, gc_runs: int = 0, *, shutdown: bool = False) -> None:
        """One tick. `work_ns`, `gc_runs` (of the tick before, counted outside) and `shutdown` are inputs, and recorded."""
        ports = self.ports
        self.tick += 1
        shared = _BY_TIMING[self.timing.tick(now_ns)]
        supervisor_age_ns = ports.supervisor_age_ns(now_ns)
        if supervisor_age_ns == NEVER or supervisor_age_ns > SUPERVISOR_LOST_NS:
            shared |= bit(Cause.SUPERVISOR_LOST)
        self._take_plan_rows()
        for group in self.groups:
            for arm in group.arms:
                arm.observe(now_ns, ports, group.armed, group.state.generation)
        self.asks.take(now_ns, ports)
        for index, group in enumerate(self.groups):
            if shutdown and group.armed:
                group.raise_cause(Cause.OPERATOR_STOP)
            self.asks.answered(index, group.turn(now_ns, shared))
            group.judge(now_ns, self.tick)
        for group in self.groups:
            for arm in group.arms:
                write_arm(ports, arm, group, now_ns, self.tick)
        write_modes(ports, self, now_ns, work_ns, gc_runs, supervisor_age_ns, shutdown=shutdown)

    def _take_plan_rows(self) -> None:
        for taken, (row, meta) in enumerate(self.ports.plan_rows(), 1):
            self.plans.take(row)
            self.plan_sequence = meta.sequence
            if taken == TAKEN_PER_TICK:
                break
