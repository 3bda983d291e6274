"""One stop group inside the step: its mode, its lease, and the turn of all its arms: one stops, all stop in that tick."""

from runtime.arbiter import Arbiter, Offer
from runtime.gate.reasons import Reason
from runtime.gate.verdict import Verdict
from runtime.loop.arm import Arm, Tick
from runtime.modes.causes import Action, Cause, bit
from runtime.modes.machine import COMMANDING, DRIVING, RESTING, Ask, Flags, Mode, ModeState, Refusal, update
from runtime.rows_rt import SourceKind
from runtime.sources.base import Joints
from runtime.sources.jog import JogSource

SLOW_FACTOR = 0.5
BRAKED_RAD_S = 1e-6


# Stops of the gate that have a cause, and a clear rule, of their own.
_BY_REASON = {Reason.CONTACT: Cause.CONTACT, Reason.DEADMAN: Cause.DEADMAN, Reason.MISSING: Cause.SOURCE_DRY}


class Group:
    """The arms that stop together."""

    def __init__(self, name: str, arms: list[Arm], generation: int, period_ns: int) -> None:
        self.name, self.arms = name, arms
        self.state = ModeState(generation=generation)
        self.armed = 0  # generation at which it was armed; 0: rt writes no commands
        self.active = 0
        self.speed_asked = 1.0
        self.hand: tuple[Joints, int] | None = None  # newest jog velocities and their stamp, whoever has the lease
        self.arbiter = Arbiter(tuple(arm.index for arm in arms))
        self.counts = dict.fromkeys(Verdict, 0)
        self.reason: tuple[int, int, int, float, float] = (
            0,
            0,
            0,
            0.0,
            0.0,
        )  # newest finding: code, where, arm, value, limit
        self._by_index = {arm.index: arm for arm in arms}
        self._raised = 0
        self._ask = Ask.NONE
        self._offer: Offer | None = None
        self._next_raised = 0  # found while judging, seen by the machine in the next tick
        self._period_s = period_ns * 1e-9

    # What requests do, before the turn.

    def raise_cause(self, cause: Cause) -> None:
        """A request raises a cause in this tick."""
        self._raised |= bit(cause)

    def ask(self, ask: Ask, offer: Offer | None = None) -> None:
        """A request asks for a mode in this tick."""
        self._ask, self._offer = ask, offer

    # The turn.

    @property
    def speed(self) -> float:
        """Path speed in effect: what was asked, at most SLOW_FACTOR while a cause says slow."""
        return min(self.speed_asked, SLOW_FACTOR) if self.state.action >= Action.SLOW else self.speed_asked

    @property
    def still(self) -> bool:
        return all(arm.view.still for arm in self.arms) and self.braked

    @property
    def braked(self) -> bool:
        return all(max(map(abs, arm.dq)) <= BRAKED_RAD_S for arm in self.arms)

    @property
    def following(self) -> bool:
        return all(arm.view.following for arm in self.arms)

    def turn(self, now_ns: int, shared: int) -> Refusal:
        """Decide the mode of this tick. `shared`: causes of the whole loop. Returns why the ask was refused."""
        left = any(arm.view.left for arm in self.arms)
        conditions = shared | self._raised | self._next_raised
        for arm in self.arms:
            conditions |= arm.view.conditions
        if left and (self.state.mode in DRIVING or self.state.mode is Mode.STOPPING):
            conditions |= bit(Cause.DRIVER_LEFT)
        if self.state.mode is Mode.TAKEOVER and not self._hand_there(now_ns):
            conditions |= bit(Cause.DEADMAN)
        self._raised = self._next_raised = 0
        self.active = conditions
        resynced = self.armed == 0
        if resynced:
            for arm in self.arms:  # every one, also behind one that cannot
                resynced &= arm.resync()
        flags = Flags(
            active=conditions,
            ask=self._ask,
            still=self.still,
            braked=self.braked,
            following=self.following,
            left=left,
            resynced=resynced,
            needs_approach=self._offer is not None and not self._offer.bumpless,
            arrived=self.arbiter.arrived,
        )
        refusal = self._move(now_ns, flags)
        self._ask, self._offer = Ask.NONE, None
        return refusal

    def _move(self, now_ns: int, flags: Flags) -> Refusal:
        before = self.state
        self.state, refusal = update(now_ns, before, flags)
        if self.state.mode is not before.mode:
            self._enter(before.mode, self.state.mode)
        return refusal

    def _enter(self, old: Mode, new: Mode) -> None:
        """What a change of mode does to lease and arming."""
        if new is Mode.ARMED:
            self.armed = self.state.generation
        elif new not in COMMANDING:
            self.armed = 0
            self.arbiter = Arbiter(tuple(self._by_index))  # what was interrupted is dead
            return
        driven = self._by_index[self.arbiter.driven]
        if new in DRIVING:
            if self._offer is not None:
                driven = self._by_index[self._offer.arm]
                assert driven.kit is not None
                approach = driven.kit.moves if new is Mode.APPROACH else None
                self.arbiter.grant(self._offer, driven.q, driven.dq, approach)
            elif old is Mode.APPROACH:
                self.arbiter.arrive(driven.q, driven.dq)
            return
        brake = new is Mode.HOLD and old in DRIVING
        for arm in self.arms:
            self.arbiter.hold(arm.index, arm.q, arm.dq, brake=brake)

    def _hand_there(self, now_ns: int) -> bool:
        lease = self.arbiter.lease
        return isinstance(lease, JogSource) and lease.fresh(now_ns)

    # The commands.

    def judge(self, now_ns: int, number: int) -> None:
        """Ask sources and gates of all arms; if one gate stops, all arms stop in this tick."""
        for arm in self.arms:
            arm.judged = False
        if self.armed == 0:
            return
        if self.state.mode in RESTING and not self.following:
            for arm in self.arms:  # the driver is not with us yet: stay where the arm is
                arm.resync()
                self.arbiter.hold(arm.index, arm.q, arm.dq, brake=False)
        hand = self.state.mode is not Mode.TAKEOVER or self._hand_there(now_ns)
        tick = Tick(now_ns, number, hand, self.speed)
        stopped = max(self._judge_arm(tick, arm) for arm in self.arms)
        if stopped < Verdict.STOP or (self.state.mode is Mode.STOPPING and stopped is not Verdict.TRIP):
            return
        self.active |= bit(self._why_stopped(stopped))
        self._move(now_ns, Flags(active=self.active, braked=self.braked))
        if self.state.mode is Mode.STOPPING:
            for arm in self.arms:
                if arm.decision is not None and arm.decision.verdict < Verdict.STOP:
                    arm.abort(now_ns)

    def _why_stopped(self, worst: Verdict) -> Cause:
        if worst is Verdict.TRIP:
            return Cause.GATE_TRIP
        reasons = [arm.decision.reason for arm in self.arms if arm.decision and arm.decision.verdict is Verdict.STOP]
        return _BY_REASON.get(reasons[0], Cause.GATE_STOP)

    def _judge_arm(self, tick: Tick, arm: Arm) -> Verdict:
        mode = self.state.mode
        target = None
        driven = arm.index == self.arbiter.driven
        kind = self.arbiter.kind if driven else SourceKind.HOLD
        if mode is not Mode.STOPPING:
            target = self.arbiter.advance(arm.index, tick.now_ns, self._period_s, self.speed)
            if target is None:
                self._next_raised |= bit(Cause.SOURCE_DRY)
            elif driven and mode is Mode.RUNNING and self.arbiter.lease.done:
                self._next_raised |= bit(Cause.SOURCE_DONE)
        guarded = driven and self.arbiter.lease.guarded
        decision = arm.judge(tick, self.state, target, kind, guarded=guarded)
        if target is None and decision.at_rest and mode in RESTING:
            self.arbiter.hold(arm.index, arm.q, arm.dq, brake=False)  # what could not brake by itself has been stopped
        self.counts[decision.verdict] += 1
        if decision.verdict is not Verdict.PASS:
            self.reason = (int(decision.reason), decision.where, arm.index, decision.value, decision.limit)
        return decision.verdict
