"""Every mode x cause, every mode x ask, and sequences: what is latched stays latched, and nothing moves by itself."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runtime.modes.causes import CAUSES, Action, Cause, Clear, bit, worst
from runtime.modes.machine import (
    COMMANDING,
    DRIVING,
    ENERGISED,
    RECOVERY_LIMIT_NS,
    RESTING,
    Ask,
    Flags,
    Mode,
    ModeState,
    Refusal,
    update,
)

T0 = 1_000_000_000
OK = {"still": True, "braked": True, "following": True, "resynced": True}


def at(mode, latched=0, cause=Cause.NONE, action=Action.NONE, since_ns=T0, generation=7):
    return ModeState(mode, generation, since_ns, latched, cause, action)


def go(state, now_ns=T0 + 5, **flags):
    return update(now_ns, state, Flags(**flags))


def expected_for(mode, row, *, still, braked):
    """What the table and the picture in DESIGN section 6 say, written down a second time."""
    action = row.action
    if mode is Mode.TAKEOVER and row.takeover:
        return Mode.TAKEOVER
    if mode in (Mode.APPROACH, Mode.RUNNING, Mode.TAKEOVER):
        if action in (Action.STOP, Action.TRIP):
            return Mode.STOPPING
        return Mode.HOLD if action is Action.HOLD else mode
    if mode in (Mode.ARMED, Mode.HOLD):
        return Mode.STOPPING if action is Action.TRIP or (action is Action.STOP and not braked) else mode
    if mode is Mode.DISARMED:
        return Mode.STOPPING if row.by_request and action is Action.TRIP else Mode.DISARMED
    if mode is Mode.STOPPING:
        if not still:
            return Mode.STOPPING
        return Mode.FAULT if action is Action.TRIP else Mode.HOLD
    if mode is Mode.RECOVERING:
        if row.recovery is not None:
            return Mode.RECOVERING
        if action >= Action.HOLD:
            return Mode.FAULT
        return Mode.DISARMED if still else Mode.RECOVERING
    return Mode.FAULT


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_answers_every_cause_as_the_table_says(mode):
    for row in CAUSES.values():
        for still in (False, True):
            for braked in (False, True):
                flags = {**OK, "still": still, "braked": braked}
                after, refusal = go(at(mode), active=bit(row.cause), **flags)
                assert after.mode is expected_for(mode, row, still=still, braked=braked), (row.cause, still, braked)
                assert refusal is Refusal.NONE
                assert after.generation == 7 + (after.mode is not mode)
                assert after.since_ns == (T0 + 5 if after.mode is not mode else T0)
                latches = row.clear is not Clear.BY_ITSELF and (mode is not Mode.DISARMED or row.by_request)
                cleared = after.mode is Mode.DISARMED and (
                    (row.clear is Clear.RE_ARM and mode is not Mode.DISARMED)
                    or (row.clear is Clear.OPERATOR and mode is Mode.RECOVERING)
                )  # fmt: skip
                assert after.latched == (bit(row.cause) if latches and not cleared else 0), (row.cause, still, braked)
                if mode is not Mode.TAKEOVER or not row.takeover:
                    assert after.cause is row.cause
                    assert after.action is row.action


@pytest.mark.parametrize("mode", list(Mode))
def test_a_latched_cause_acts_like_an_active_one_in_every_mode(mode):
    for row in CAUSES.values():
        if row.clear is Clear.BY_ITSELF or mode in (Mode.DISARMED, Mode.RECOVERING):
            continue
        after, _ = go(at(mode, latched=bit(row.cause)), **OK)
        assert after.mode is expected_for(mode, row, still=True, braked=True), row.cause
        assert after.latched == bit(row.cause)


R = Refusal
#        mode            ARM           DISARM        RUN          TAKE_OVER     ACK
ASKED = {
    Mode.DISARMED:   (Mode.ARMED, R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, R.NONE),
    Mode.ARMED:      (R.WRONG_MODE, Mode.DISARMED, Mode.RUNNING, Mode.TAKEOVER, R.NONE),
    Mode.APPROACH:   (R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, Mode.TAKEOVER, R.NONE),
    Mode.RUNNING:    (R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, Mode.TAKEOVER, R.NONE),
    Mode.TAKEOVER:   (R.WRONG_MODE, R.WRONG_MODE, Mode.RUNNING, R.WRONG_MODE, R.NONE),
    Mode.HOLD:       (R.WRONG_MODE, Mode.DISARMED, Mode.RUNNING, Mode.TAKEOVER, R.NONE),
    Mode.STOPPING:   (R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, R.NOT_STILL),
    Mode.FAULT:      (R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, Mode.RECOVERING),
    Mode.RECOVERING: (R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE, R.WRONG_MODE),
}  # fmt: skip
ASKS = (Ask.ARM, Ask.DISARM, Ask.RUN, Ask.TAKE_OVER, Ask.ACK)


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_answers_every_ask(mode):
    for ask, expected in zip(ASKS, ASKED[mode], strict=True):
        # STOPPING and RECOVERING would leave by themselves once still: hold them with an arm that is not.
        flags = {**OK, "still": mode not in (Mode.STOPPING, Mode.RECOVERING)}
        after, refusal = go(at(mode), ask=ask, **flags)
        if isinstance(expected, Mode):
            assert (after.mode, refusal) == (expected, Refusal.NONE), ask
            assert after.generation == 8
        else:
            assert (after.mode, refusal) == (mode, expected), ask
            assert after.generation == 7


def test_modes_fall_into_the_groups_that_the_loop_uses():
    assert {Mode.APPROACH, Mode.RUNNING, Mode.TAKEOVER} == DRIVING
    assert {Mode.ARMED, Mode.HOLD} == RESTING
    assert ENERGISED == DRIVING | RESTING
    assert ENERGISED | {Mode.STOPPING} == COMMANDING


@pytest.mark.parametrize("cause", [Cause.TICKS_LATE, Cause.NONE])
def test_arming_needs_a_still_arm_and_no_cause_that_holds(cause):
    mild = bit(cause) if cause else 0
    assert go(at(Mode.DISARMED), ask=Ask.ARM, active=mild, still=True)[0].mode is Mode.ARMED
    assert go(at(Mode.DISARMED), ask=Ask.ARM, active=mild, still=False) == (
        at(Mode.DISARMED, cause=cause, action=worst(mild)[0]), Refusal.NOT_STILL,
    )  # fmt: skip
    for row in CAUSES.values():
        after, refusal = go(at(Mode.DISARMED), ask=Ask.ARM, active=bit(row.cause), still=True)
        if row.action >= Action.HOLD:
            assert after.mode is not Mode.ARMED
            if not (row.by_request and row.action is Action.TRIP):
                assert refusal is Refusal.CAUSE


@pytest.mark.parametrize("mode", [Mode.ARMED, Mode.HOLD])
@pytest.mark.parametrize("ask", [Ask.RUN, Ask.TAKE_OVER])
def test_motion_begins_only_braked_followed_and_without_a_cause(mode, ask):
    assert go(at(mode), ask=ask, **{**OK, "braked": False})[1] is Refusal.NOT_STILL
    assert go(at(mode), ask=ask, **{**OK, "following": False}) == (at(mode), Refusal.NOT_FOLLOWING)
    for row in CAUSES.values():
        if row.action >= Action.STOP and row.action is Action.TRIP:
            continue
        after, refusal = go(at(mode), ask=ask, active=bit(row.cause), **OK)
        allowed = row.action < Action.HOLD or (ask is Ask.TAKE_OVER and row.takeover)
        assert (after.mode in DRIVING) is allowed, row.cause
        assert refusal is (Refusal.NONE if allowed else Refusal.CAUSE), row.cause


def test_disarming_needs_a_braked_arm_and_clears_what_re_arming_clears():
    latched = bit(Cause.TICK_GAP) | bit(Cause.GATE_STOP)
    assert go(at(Mode.HOLD, latched), ask=Ask.DISARM, **{**OK, "braked": False})[0].mode is Mode.STOPPING
    assert go(at(Mode.HOLD), ask=Ask.DISARM, **{**OK, "braked": False}) == (at(Mode.HOLD), Refusal.NOT_STILL)
    after, refusal = go(at(Mode.HOLD, latched), ask=Ask.DISARM, **OK)
    assert (after.mode, refusal) == (Mode.DISARMED, Refusal.NONE)
    assert after.latched == bit(Cause.GATE_STOP)
    assert after.cause is Cause.GATE_STOP
    assert after.action is Action.STOP


@pytest.mark.parametrize("mode", [Mode.ARMED, Mode.HOLD])
def test_a_driver_that_left_at_rest_disarms(mode):
    after, _ = go(at(mode), left=True, **OK)
    assert after.mode is Mode.DISARMED
    assert go(at(mode), left=True, active=bit(Cause.ARM_REFLEX), **OK)[0].mode is Mode.STOPPING


@pytest.mark.parametrize("ask", [Ask.RUN])
def test_a_source_with_a_start_pose_is_approached(ask):
    for mode in (Mode.ARMED, Mode.HOLD, Mode.TAKEOVER):
        assert go(at(mode), ask=ask, needs_approach=True, **OK)[0].mode is Mode.APPROACH
        assert go(at(mode), ask=ask, needs_approach=False, **OK)[0].mode is Mode.RUNNING
    assert go(at(Mode.ARMED), ask=Ask.TAKE_OVER, needs_approach=True, **OK)[0].mode is Mode.TAKEOVER


def test_an_approach_ends_in_running_when_it_arrived():
    assert go(at(Mode.APPROACH), **OK) == (at(Mode.APPROACH), Refusal.NONE)
    assert go(at(Mode.APPROACH), arrived=True, **OK)[0].mode is Mode.RUNNING
    assert go(at(Mode.RUNNING), arrived=True, **OK) == (at(Mode.RUNNING), Refusal.NONE)
    assert go(at(Mode.TAKEOVER), arrived=True, **OK) == (at(Mode.TAKEOVER), Refusal.NONE)
    assert go(at(Mode.APPROACH), arrived=True, ask=Ask.ARM, **OK)[1] is Refusal.WRONG_MODE
    assert go(at(Mode.APPROACH), arrived=True, active=bit(Cause.CONTACT), **OK)[0].mode is Mode.STOPPING


def test_a_stop_is_a_latch_from_the_first_instruction_on():
    first, _ = go(ModeState(), active=bit(Cause.OPERATOR_STOP))
    assert (first.mode, first.generation, first.latched) == (Mode.STOPPING, 2, bit(Cause.OPERATOR_STOP))
    waiting, _ = go(first)
    assert waiting == first
    assert go(first, ask=Ask.ACK) == (first, Refusal.NOT_STILL)
    faulted, _ = go(first, still=True)
    assert faulted.mode is Mode.FAULT
    assert go(faulted, ask=Ask.ARM, **OK)[0].mode is Mode.FAULT


def test_a_stop_that_is_no_trip_ends_in_hold_and_needs_the_operator():
    stopping, _ = go(at(Mode.RUNNING), active=bit(Cause.GATE_STOP), following=True)
    held, _ = go(stopping, **OK)
    assert (held.mode, held.latched, held.cause) == (Mode.HOLD, bit(Cause.GATE_STOP), Cause.GATE_STOP)
    assert go(held, **OK)[0] == held
    assert go(held, ask=Ask.RUN, **OK) == (held, Refusal.CAUSE)
    assert go(held, ask=Ask.ACK, **{**OK, "still": False}) == (held, Refusal.NOT_STILL)
    assert go(held, ask=Ask.ACK, active=bit(Cause.GATE_STOP), **OK)[1] is Refusal.CAUSE
    free, refusal = go(held, ask=Ask.ACK, **OK)
    assert (free.mode, free.latched, free.action, refusal) == (Mode.HOLD, 0, Action.NONE, Refusal.NONE)
    assert free.cause is Cause.GATE_STOP, "why it holds is still shown"
    running = go(free, ask=Ask.RUN, **OK)[0]
    assert (running.mode, running.cause) == (Mode.RUNNING, Cause.NONE)


def test_what_led_to_hold_stays_visible_after_its_condition_went():
    held, _ = go(at(Mode.RUNNING), active=bit(Cause.SOURCE_DONE), **OK)
    later, _ = go(held, **OK)
    assert (later.mode, later.cause, later.action) == (Mode.HOLD, Cause.SOURCE_DONE, Action.NONE)
    running = go(at(Mode.RUNNING, cause=Cause.TICKS_LATE, action=Action.SLOW), **OK)[0]
    assert (running.cause, running.action) == (Cause.NONE, Action.NONE)


def test_a_stop_that_becomes_a_trip_on_its_way_ends_in_fault():
    stopping, _ = go(at(Mode.RUNNING), active=bit(Cause.GATE_STOP))
    worse, _ = go(stopping, active=bit(Cause.ARM_REFLEX))
    assert (worse.mode, worse.cause, worse.generation) == (Mode.STOPPING, Cause.ARM_REFLEX, stopping.generation)
    assert go(worse, still=True)[0].mode is Mode.FAULT


def test_an_acknowledgement_needs_a_still_arm_and_the_condition_gone():
    fault = at(Mode.FAULT, latched=bit(Cause.ARM_USER_STOP), cause=Cause.ARM_USER_STOP, action=Action.TRIP)
    assert go(fault, ask=Ask.ACK, still=False) == (fault, Refusal.NOT_STILL)
    assert go(fault, ask=Ask.ACK, active=bit(Cause.ARM_USER_STOP), still=True) == (fault, Refusal.CAUSE)
    assert go(fault, ask=Ask.ACK, active=bit(Cause.TICKS_LATE), still=True)[0].mode is Mode.RECOVERING
    recovering, refusal = go(fault, ask=Ask.ACK, still=True)
    assert (recovering.mode, recovering.latched, refusal) == (Mode.RECOVERING, fault.latched, Refusal.NONE)
    free, _ = go(recovering, still=True, resynced=True)
    assert (free.mode, free.latched, free.cause, free.action) == (Mode.DISARMED, 0, Cause.NONE, Action.NONE)


@pytest.mark.parametrize("cause", [row.cause for row in CAUSES.values() if row.recovery is None])
def test_an_acknowledgement_waits_for_everything_that_holds_or_worse(cause):
    after, refusal = go(at(Mode.FAULT), ask=Ask.ACK, active=bit(cause), still=True)
    holds = CAUSES[cause].action >= Action.HOLD
    assert after.mode is (Mode.FAULT if holds else Mode.RECOVERING)
    assert refusal is (Refusal.CAUSE if holds else Refusal.NONE)


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode not in (Mode.STOPPING, Mode.RECOVERING)])
def test_a_tick_without_news_makes_no_new_state(mode):
    state = at(mode)
    assert go(state, **OK)[0] is state


def test_a_recoverable_cause_may_still_be_there_at_the_acknowledgement_but_not_at_the_end():
    reflex = bit(Cause.ARM_REFLEX)
    fault = at(Mode.FAULT, latched=reflex, cause=Cause.ARM_REFLEX, action=Action.TRIP)
    recovering, _ = go(fault, ask=Ask.ACK, active=reflex, still=True)
    assert recovering.mode is Mode.RECOVERING
    assert go(recovering, active=reflex, **OK)[0] == recovering
    for missing in ({"still": False}, {"resynced": False}):
        assert go(recovering, **{**OK, **missing})[0].mode is Mode.RECOVERING
    assert go(recovering, **OK)[0].mode is Mode.DISARMED
    assert go(recovering, active=bit(Cause.TICKS_LATE), **OK)[0].mode is Mode.DISARMED


def test_a_recovery_that_lasts_too_long_is_a_fault_again_and_never_a_loop():
    reflex = bit(Cause.ARM_REFLEX)
    recovering = at(Mode.RECOVERING, latched=reflex, cause=Cause.ARM_REFLEX, action=Action.TRIP)
    limit = T0 + RECOVERY_LIMIT_NS
    assert RECOVERY_LIMIT_NS == 15_000_000_000, "about twice the slowest recovery seen on a real arm, 7.3 s"
    assert go(recovering, limit, active=reflex)[0].mode is Mode.RECOVERING
    fault, _ = go(recovering, limit + 1, active=reflex)
    assert (fault.mode, fault.latched) == (Mode.FAULT, reflex)
    for later in range(limit + 2, limit + 50):
        fault, _ = go(fault, later, active=reflex, **OK)
        assert fault.mode is Mode.FAULT


def test_a_stop_during_recovery_is_a_fault_again():
    recovering = at(Mode.RECOVERING, latched=bit(Cause.ARM_REFLEX), cause=Cause.ARM_REFLEX, action=Action.TRIP)
    fault, _ = go(recovering, active=bit(Cause.OPERATOR_STOP), **OK)
    assert (fault.mode, fault.latched) == (Mode.FAULT, bit(Cause.ARM_REFLEX) | bit(Cause.OPERATOR_STOP))


def test_what_only_a_restart_clears_is_never_acknowledged():
    fault = at(Mode.FAULT, latched=bit(Cause.ROBOT_CHANGED), cause=Cause.ROBOT_CHANGED, action=Action.TRIP)
    assert go(fault, ask=Ask.ACK, **OK) == (fault, Refusal.CAUSE)


def test_a_teleoperator_is_ended_by_dead_man_and_faults_but_not_by_the_policys_troubles():
    for row in CAUSES.values():
        after, _ = go(at(Mode.TAKEOVER), active=bit(row.cause), **OK)
        if row.takeover:
            assert after.mode is Mode.TAKEOVER
        if row.cause in (Cause.DEADMAN, Cause.OPERATOR_HOLD, Cause.OPERATOR_STOP, Cause.ARM_REFLEX):
            assert after.mode is not Mode.TAKEOVER


class Sequences(RuleBasedStateMachine):
    """Any sequence of conditions, requests and times."""

    def __init__(self):
        super().__init__()
        self.now_ns = T0
        self.state = ModeState()
        self.before = self.state
        self.flags = Flags()

    @rule(
        active=st.lists(st.sampled_from(list(CAUSES)), max_size=2),
        ask=st.sampled_from(list(Ask)),
        bits=st.integers(0, 127),
        step=st.sampled_from([5_000_000, 1_000_000_000, RECOVERY_LIMIT_NS + 1]),
    )
    def tick(self, active, ask, bits, step):
        self.now_ns += step
        mask = 0
        for cause in active:
            mask |= bit(cause)
        names = ("still", "braked", "following", "left", "resynced", "needs_approach", "arrived")
        self.flags = Flags(mask, ask, **{name: bool(bits >> k & 1) for k, name in enumerate(names)})
        self.before = self.state
        self.state, self.refusal = update(self.now_ns, self.state, self.flags)

    @invariant()
    def a_change_of_mode_is_a_new_generation(self):
        assert self.state.generation == self.before.generation + (self.state.mode is not self.before.mode)

    @invariant()
    def nothing_starts_to_move_without_being_asked(self):
        if self.state.mode in DRIVING and self.before.mode not in DRIVING:
            assert self.flags.ask in (Ask.RUN, Ask.TAKE_OVER)
            assert self.flags.following
            assert self.flags.braked
            assert self.before.mode in RESTING

    @invariant()
    def a_fault_is_left_only_by_an_acknowledgement_and_only_when_still(self):
        if self.before.mode is Mode.FAULT and self.state.mode is not Mode.FAULT:
            assert self.flags.ask is Ask.ACK
            assert self.flags.still
            assert self.state.mode is Mode.RECOVERING
        if self.before.mode is Mode.RECOVERING and self.state.mode not in (Mode.RECOVERING, Mode.FAULT):
            assert self.state.mode is Mode.DISARMED
            assert self.flags.resynced
            assert self.flags.still
            assert worst(self.flags.active)[0] < Action.HOLD

    @invariant()
    def a_stop_is_left_only_when_still(self):
        if self.before.mode is Mode.STOPPING and self.state.mode is not Mode.STOPPING:
            assert self.flags.still
            assert self.state.mode in (Mode.HOLD, Mode.FAULT)

    @invariant()
    def no_latch_is_lost_but_by_its_rule(self):
        for cause, row in CAUSES.items():
            if self.before.latched >> cause & 1 and not self.state.latched >> cause & 1:
                assert row.clear is not Clear.RESTART
                by_ack = self.flags.ask is Ask.ACK and self.flags.still
                by_disarm = self.state.mode is Mode.DISARMED
                assert by_ack if row.clear is Clear.OPERATOR and self.before.mode is not Mode.RECOVERING else by_disarm

    @invariant()
    def while_a_trip_is_latched_the_arm_is_not_energised(self):
        if worst(self.state.latched)[0] is Action.TRIP and self.before is not self.state:
            assert self.state.mode not in ENERGISED or self.before.mode not in ENERGISED

    @invariant()
    def a_person_can_always_get_it_running_again(self):
        """Liveness: with all conditions gone, ack, arm and run lead to RUNNING, unless only a restart helps."""
        state, now = self.state, self.now_ns
        if any(row.clear is Clear.RESTART and state.latched >> cause & 1 for cause, row in CAUSES.items()):
            return
        for ask in (Ask.NONE, Ask.ACK, Ask.NONE, Ask.DISARM, Ask.ACK, Ask.ARM, Ask.RUN):
            now += 1
            state, _ = update(now, state, Flags(0, ask, **OK))
        assert state.mode in (Mode.RUNNING, Mode.APPROACH, Mode.TAKEOVER)


Sequences.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSequences = Sequences.TestCase
