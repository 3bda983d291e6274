"""Requests from the supervisor: checked, then turned into causes and asks of the groups; answered in the modes row."""

import math

import numpy as np

from runtime.arbiter import BUMPLESS_RAD, Arbiter
from runtime.loop.arm import Arm
from runtime.loop.group import Group
from runtime.loop.ports import Ports
from runtime.modes.causes import BY_REQUEST, Cause
from runtime.modes.machine import DRIVING, Ask, Refusal
from runtime.ring import RowMeta
from runtime.rows import JOINTS, RequestStatus
from runtime.rows_rt import RUN_FROM_START, RUN_NO_APPROACH, RtRequestKind, SourceKind
from runtime.sources.base import Joints, Source
from runtime.sources.goto import GotoSource
from runtime.sources.jog import JogSource
from runtime.sources.plan import PlanIntake, PlanSource

MAX_PER_TICK = 16
DEAD_AFTER_NS = 1_000_000_000  # an old request for motion is not what the operator wants now
MIN_SPEED = 0.05

_ASKS = {
    RtRequestKind.ARM: Ask.ARM,
    RtRequestKind.DISARM: Ask.DISARM,
    RtRequestKind.RUN: Ask.RUN,
    RtRequestKind.TAKE_OVER: Ask.TAKE_OVER,
    RtRequestKind.ACK: Ask.ACK,
}


class Asks:
    """Takes request rows; keeps what the modes row says of the last one that was answered."""

    def __init__(self, groups: list[Group], arms: list[Arm], plans: PlanIntake) -> None:
        self._groups, self._arms, self._plans = groups, arms, plans
        self.sequence = 0
        self.id = 0
        self.status = RequestStatus.NONE
        self.refusal = Refusal.NONE
        self.values: Joints = (0.0,) * JOINTS
        self.limit = 0.0
        self._open = -1  # the group that answers this tick

    def take(self, now_ns: int, ports: Ports) -> None:
        """Take requests up to and including the first that asks for a mode: its answer comes from the machine."""
        self._open = -1
        for taken, (row, meta) in enumerate(ports.requests(), 1):
            self.sequence = meta.sequence
            if self._one(now_ns, row, meta) or taken == MAX_PER_TICK:
                return

    def answered(self, group: int, refusal: Refusal) -> None:
        """The machine of a group has turned; if it was asked, this is the answer."""
        if group == self._open:
            self._answer(refusal)
            self._open = -1

    def _answer(self, refusal: Refusal, values: Joints = (0.0,) * JOINTS, limit: float = 0.0) -> None:
        self.status = RequestStatus.REFUSED if refusal else RequestStatus.DONE
        self.refusal, self.values, self.limit = refusal, values, limit

    def _one(self, now_ns: int, row: np.void, meta: RowMeta) -> bool:
        """Handle one row; True if it asks for a mode."""
        self.id = int(row["id"])
        kind, index = int(row["kind"]), int(row["group"])
        if index >= len(self._groups):
            self._answer(Refusal.BAD_VALUE, limit=len(self._groups))
            return False
        group = self._groups[index]
        if kind == RtRequestKind.STOP:  # at any age, of any generation: a stop is never too late
            self._raise(group, int(row["cause"]) or Cause.OPERATOR_STOP)
            return False
        generation = int(row["generation"])
        if now_ns - meta.stamp_ns > DEAD_AFTER_NS or (generation and generation != group.state.generation):
            self._answer(Refusal.SUPERSEDED)
            return False
        if kind == RtRequestKind.HOLD:
            self._raise(group, int(row["cause"]) or Cause.OPERATOR_HOLD)
        elif kind == RtRequestKind.SPEED:
            self._set_speed(group, float(row["values"][0]))
        elif kind == RtRequestKind.JOG:
            self._jog(group, tuple(row["values"][:JOINTS].tolist()), meta.stamp_ns)
        elif kind in (RtRequestKind.RUN, RtRequestKind.TAKE_OVER):
            return self._run(now_ns, group, index, row)
        elif kind in _ASKS:
            self._open = index
            group.ask(_ASKS[RtRequestKind(kind)])
            return True
        else:
            self._answer(Refusal.BAD_VALUE, limit=kind)
        return False

    def _raise(self, group: Group, cause: int) -> None:
        if cause >= 64 or not BY_REQUEST >> cause & 1:
            # Whoever says stop and cannot say why still gets a stop.
            cause = Cause.OPERATOR_STOP
        group.raise_cause(Cause(cause))
        self._answer(Refusal.NONE)

    def _set_speed(self, group: Group, speed: float) -> None:
        if not MIN_SPEED <= speed <= 1.0:
            self._answer(Refusal.BAD_VALUE, (speed,) + (0.0,) * (JOINTS - 1), 1.0)
            return
        group.speed_asked = speed
        self._answer(Refusal.NONE)

    def _jog(self, group: Group, velocities: Joints, stamp_ns: int) -> None:
        if not all(map(math.isfinite, velocities)):
            self._answer(Refusal.BAD_VALUE)
            return
        group.hand = (velocities, stamp_ns)
        lease = group.arbiter.lease
        if isinstance(lease, JogSource):
            lease.aim(velocities, stamp_ns)
        self._answer(Refusal.NONE)

    def _run(self, now_ns: int, group: Group, index: int, row: np.void) -> bool:
        ask = _ASKS[RtRequestKind(int(row["kind"]))]
        arm = next((one for one in group.arms if one.index == int(row["arm"])), None)
        if arm is None or arm.kit is None:
            self._answer(Refusal.NO_SOURCE)
            return False
        source = self._source(group, arm, row)
        if source is None:
            self._answer(Refusal.NO_SOURCE)
            return False
        if ask is Ask.TAKE_OVER and not (isinstance(source, JogSource) and source.fresh(now_ns)):
            self._answer(Refusal.NOT_HELD)
            return False
        offer = Arbiter.offer(source, arm.index, arm.q)
        moving = group.state.mode in DRIVING
        if not offer.bumpless and (moving or ask is Ask.TAKE_OVER or int(row["flag"]) & RUN_NO_APPROACH):
            self._answer(Refusal.BUMP, offer.differences, BUMPLESS_RAD)
            return False
        self._open = index
        group.ask(ask, offer)
        return True

    def _source(self, group: Group, arm: Arm, row: np.void) -> Source | None:
        """The source that a RUN or TAKE_OVER names, or None where there is none such."""
        assert arm.kit is not None
        kind = int(row["source"])
        take_over = int(row["kind"]) == RtRequestKind.TAKE_OVER
        if kind == SourceKind.JOG:
            moves = arm.kit.moves
            jog = JogSource(arm.kit.lower, arm.kit.upper, moves.velocity, moves.acceleration, moves.jerk)
            if group.hand is not None:
                jog.aim(*group.hand)
            return jog
        if take_over:
            return None  # only what a hand holds may take over
        if kind == SourceKind.HOME:
            return GotoSource(arm.config.home_q_rad, arm.kit.moves)
        if kind == SourceKind.WAYPOINTS:
            plan_id = int(row["plan"])
            held = group.arbiter.held
            goes_on = held is not None and held.arm == arm.index and held.source.plan == plan_id
            if held is not None and goes_on and not int(row["flag"]) & RUN_FROM_START:
                return held.source
            plan = self._plans.ready
            if plan is not None and plan_id == self._plans.ready_id and plan.arm == arm.index:
                return PlanSource(plan_id, plan)
        return None
