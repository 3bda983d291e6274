"""The gate as a whole: what is sent when, and that a verified stop is always there."""

import json
import math
import random

import pytest

from runtime.gate.gate import Gate
from runtime.gate.reasons import Reason
from runtime.gate.types import Kind
from runtime.gate.verdict import Verdict
from runtime.rows import RobotMode

PERIOD_NS = 5_000_000
PERIOD_S = PERIOD_NS * 1e-9
ZERO = [0.0] * 7


def run_out(drive, ticks=200):
    """No more candidates until the arm is at rest; returns the decisions."""
    decisions = []
    for _ in range(ticks):
        decisions.append(drive.tick())
        if decisions[-1].at_rest:
            return decisions
    raise AssertionError("the arm did not come to rest")


def test_clean_motion_passes_unchanged_bit_for_bit(drive):
    for _ in range(100):
        q, dq = drive.target()
        before = drive.decision.dq if drive.decision else ZERO
        decision = drive.tick(q, dq)
        assert (decision.verdict, decision.reason, decision.q, decision.dq) == (Verdict.PASS, Reason.NONE, q, dq)
        assert decision.ddq == [(a - b) / PERIOD_S for a, b in zip(dq, before, strict=True)]
        assert not decision.stopping
        assert (decision.value, decision.limit, decision.where) == (0.0, 0.0, 0)


def test_without_velocities_the_gate_takes_them_from_positions(drive):
    for k in range(60):
        q, dq = drive.target()
        decision = drive.tick(q, None)
        assert decision.verdict is Verdict.PASS
        assert decision.q == q
        assert k < 3 or decision.dq == pytest.approx(dq, abs=2e-4)


def test_a_gate_that_was_never_asked_holds(gate, facts):
    decision = gate.decide(10**12, None, None, False, False)
    assert (decision.verdict, decision.reason, decision.at_rest, decision.stopping) == (
        Verdict.PASS,
        Reason.NONE,
        True,
        False,
    )
    assert (decision.dq, decision.ddq) == (ZERO, ZERO)


def test_a_silent_source_brakes_at_once_and_may_come_back_within_the_age_limit(drive):
    drive.swing(60)
    speed = max(map(abs, drive.decision.dq))
    decision = drive.tick()
    assert (decision.verdict, decision.reason, decision.stopping) == (Verdict.PASS, Reason.BRAKING, True)
    assert decision.value == pytest.approx(5.0)
    assert decision.limit == 0.0
    assert max(map(abs, decision.dq)) < speed
    back = [a + 0.8 * v * PERIOD_S for a, v in zip(decision.q, decision.dq, strict=True)]
    assert drive.tick(back, [0.7 * v for v in decision.dq]).verdict <= Verdict.SHAPE


def test_a_source_that_stays_silent_is_stopped_after_the_age_limit(drive, limits):
    drive.swing(60)
    wanted = drive.gate.stop_q
    decisions = run_out(drive)
    late = [one for one in decisions if one.reason is Reason.MISSING]
    assert all(one.verdict is Verdict.PASS for one in decisions[:10])
    assert decisions[9].value == pytest.approx(50.0)
    assert late
    assert (late[0].verdict, late[0].value, late[0].limit) == (Verdict.STOP, pytest.approx(55.0), 50.0)
    assert decisions.index(late[0]) == 10
    assert decisions[-1].q == wanted
    assert decisions[-1].dq == ZERO
    assert drive.tick().reason is Reason.NONE


def test_a_stop_runs_to_its_end_whatever_comes(drive):
    drive.swing(60)
    assert drive.gate.stop_duration_s > 0.03
    ends = drive.gate.stop_q
    q, dq = drive.target()
    q[3] = math.nan
    first = drive.tick(q, dq)
    assert (first.verdict, first.reason, first.where, first.stopping) == (Verdict.TRIP, Reason.NOT_FINITE, 4, True)
    ticks = 1
    while not drive.decision.at_rest:
        decision = drive.tick(*drive.target())
        assert (decision.verdict, decision.reason, decision.where) == (Verdict.TRIP, Reason.NOT_FINITE, 4)
        ticks += 1
    assert drive.decision.q == ends
    assert not drive.decision.stopping
    assert drive.gate.stop_duration_s == 0.0
    assert ticks >= 6
    held = drive.tick(drive.decision.q, ZERO)
    assert (held.verdict, held.reason) == (Verdict.PASS, Reason.NONE)


def test_the_stored_stop_counts_down(drive):
    drive.swing(60)
    before = drive.gate.stop_duration_s
    drive.tick()
    assert drive.gate.stop_duration_s == pytest.approx(before - PERIOD_S)


@pytest.mark.parametrize(
    ("changes", "reason", "verdict"),
    [
        ({"joint_order": 1}, Reason.JOINT_ORDER, Verdict.TRIP),
        ({"frame": 1}, Reason.FRAME, Verdict.TRIP),
        ({"session": 8}, Reason.SESSION, Verdict.TRIP),
        ({"generation": 2}, Reason.GENERATION, Verdict.STOP),
        ({"sequence": 1}, Reason.SEQUENCE, Verdict.STOP),
        ({"produced_ns": 1}, Reason.TOO_OLD, Verdict.STOP),
        ({"due_ns": 1}, Reason.NOT_DUE, Verdict.STOP),
    ],
)
def test_a_dead_candidate_runs_the_stored_stop(drive, changes, reason, verdict):
    drive.swing(20)
    decision = drive.tick(*drive.target(), **changes)
    assert (decision.verdict, decision.reason, decision.stopping) == (verdict, reason, True)


def test_permission_comes_first_and_the_state_counts(gate, candidate, facts):
    now_ns = 10**12
    bad = candidate(q=[math.nan] * 7)
    assert gate.decide(now_ns, bad, facts(), False, True).reason is Reason.NOT_ARMED
    assert gate.decide(now_ns, bad, facts(), True, False).reason is Reason.DEADMAN
    assert gate.decide(now_ns, bad, None, True, True).reason is Reason.NO_STATE
    assert gate.decide(now_ns, bad, facts(robot_mode=int(RobotMode.REFLEX)), True, True).reason is Reason.ROBOT_MODE
    assert gate.decide(now_ns, bad, facts(), True, True).reason is Reason.NOT_FINITE


def test_what_the_arm_feels_stops_it(gate, candidate, facts, limits):
    pushed = facts(wrench_base=[0.0, 0.0, 0.75 * limits.force, 0.0, 0.0, 0.0])
    assert gate.decide(10**12, candidate(), pushed, True, True).verdict is Verdict.PASS
    found = gate.decide(10**12 + 1, candidate(sequence=10**12 + 1, guarded=True), pushed, True, True)
    assert (found.verdict, found.reason) == (Verdict.STOP, Reason.CONTACT)


def test_a_jump_is_blended_and_the_arm_arrives(drive, home, limits):
    goal = [a + (0.05 if k == 0 else 0.0) for k, a in enumerate(home)]
    verdicts = set()
    for _ in range(95):
        decision = drive.tick(goal, ZERO)
        verdicts.add((decision.verdict, decision.reason))
        if decision.verdict is Verdict.PASS:
            break
    assert decision.verdict is Verdict.PASS
    assert decision.q == goal
    assert (Verdict.SHAPE, Reason.JUMP) in verdicts


def test_a_hard_jump_stops(drive, home, limits):
    goal = [a + (1.01 * limits.jump_stop if k == 0 else 0.0) for k, a in enumerate(home)]
    decision = drive.tick(goal, ZERO)
    assert (decision.verdict, decision.reason, decision.where, decision.q) == (Verdict.STOP, Reason.JUMP_HARD, 1, home)
    assert not decision.stopping


def test_a_source_that_is_always_shaped_trips(drive, home, limits):
    goal = [a + (0.15 if k == 0 else 0.0) for k, a in enumerate(home)]
    for count in range(1, limits.max_shapes + 1):
        wobble = goal if count % 2 else [a - 0.1 * (k == 0) for k, a in enumerate(goal)]
        assert drive.tick(wobble, ZERO).verdict is Verdict.SHAPE
    decision = drive.tick(goal, ZERO)
    assert (decision.verdict, decision.reason) == (Verdict.TRIP, Reason.ALWAYS_SHAPED)
    assert (decision.value, decision.limit) == (limits.max_shapes + 1, limits.max_shapes)


def test_one_pass_forgives_the_shapes_before_it(drive, home, limits):
    jump = [a + 0.15 * (k == 0) for k, a in enumerate(home)]
    for _ in range(3):
        assert drive.tick(jump, ZERO).verdict is Verdict.SHAPE
    assert drive.gate.snapshot()["memory"]["shapes"] == 3
    last = drive.decision
    goes_on = [a + v * PERIOD_S for a, v in zip(last.q, last.dq, strict=True)]
    assert drive.tick(goes_on, last.dq).verdict is Verdict.PASS
    assert drive.gate.snapshot()["memory"]["shapes"] == 0


def test_too_fast_a_tool_is_held_at_its_limit(drive, home, limits):
    drive.now_ns += 10**9
    fast, speeds = 0.0, []
    q, dq = list(home), list(ZERO)
    for _ in range(120):
        fast = min(fast + 0.9 * limits.acceleration[0] * PERIOD_S, 0.99 * limits.velocity[0])
        q[0] += 0.5 * (dq[0] + fast) * PERIOD_S
        dq[0] = fast
        decision = drive.tick(list(q), list(dq))
        speeds.append(
            math.dist(drive.gate.points(decision.q)[0], (0.0, 0.0, drive.gate.points(decision.q)[0][2]))
            * decision.dq[0]
        )
        if decision.verdict >= Verdict.STOP:
            break
    assert max(speeds) <= limits.tcp_speed * 1.000001
    assert max(speeds) > 0.9 * min(limits.tcp_speed, 0.3 * limits.velocity[0])


def test_a_command_for_which_no_stop_exists_is_not_sent(drive, home, limits):
    # Towards the upper limit of joint 6 at a speed that its own limit there allows, but not the stop.
    start = list(home)
    start[5] = limits.upper[5] - 0.05
    drive.gate.reset(start)
    drive.start, q, dq = start, list(start), list(ZERO)
    seen = set()
    for _ in range(60):
        speed = dq[5] + 0.9 * limits.acceleration[5] * PERIOD_S
        q[5] += 0.5 * (dq[5] + speed) * PERIOD_S
        dq[5] = speed
        decision = drive.tick(list(q), list(dq))
        seen.add(decision.reason)
        assert decision.q[5] <= limits.upper[5]
        assert drive.gate.stop_q[5] <= limits.upper[5]
        if decision.verdict >= Verdict.STOP:
            break
    assert Reason.NO_STOP in seen


def test_too_many_commands_in_a_window_trip(drive, home):
    reasons = []
    for _ in range(62):
        drive.now_ns -= PERIOD_NS - 1
        reasons.append(drive.tick(home, ZERO).reason)
    assert reasons[:61] == [Reason.NONE] * 61
    assert reasons[61] is Reason.RATE
    assert drive.decision.verdict is Verdict.TRIP


def test_travel_in_a_window_is_bounded(robot, profile, workspace, candidate, facts, home):
    tight = profile.model_copy(update={"window_displacement_m": 0.005})
    gate = Gate(robot, tight, workspace, PERIOD_NS)
    gate.reset(home)
    now_ns, q = 10**12, list(home)
    for k in range(1, 200):
        now_ns += PERIOD_NS
        t = k * PERIOD_S
        turned, turning = 0.05 * (1.0 - math.cos(2.0 * t)), 0.1 * math.sin(2.0 * t)
        given = candidate(now_ns, q=[home[0] + turned, *home[1:]], dq=[turning, *ZERO[1:]])
        decision = gate.decide(now_ns, given, facts(now_ns, q=q), True, True)
        q = decision.q
        if decision.verdict >= Verdict.STOP:
            break
    assert (decision.verdict, decision.reason, decision.limit) == (Verdict.TRIP, Reason.WINDOW, 0.005)


@pytest.mark.parametrize(("asked", "reached"), [(0.5, 0.5), (0.0, 0.05), (float("nan"), 0.05), (3.0, 1.0)])
def test_speed_limits_follow_a_smaller_speed_factor_slowly(drive, home, asked, reached):
    drive.speed = asked
    factors = []
    for _ in range(260):
        drive.tick(home, ZERO)
        factors.append(drive.gate.snapshot()["memory"]["factor"])
    assert factors[0] == pytest.approx(max(reached, 1.0 - PERIOD_S))
    assert factors[-1] == reached
    if reached < 1.0:
        assert factors[50] == pytest.approx(1.0 - 51 * PERIOD_S)
    drive.speed = 1.0
    drive.tick(home, ZERO)
    assert drive.gate.snapshot()["memory"]["factor"] == 1.0


def test_a_slow_that_the_source_ignores_is_enforced(drive, limits):
    drive.speed = 0.05
    reasons = set()
    for _ in range(400):
        q, dq = drive.target(0.1, 2.0)
        reasons.add(drive.tick(q, dq).reason)
        if drive.decision.verdict >= Verdict.STOP:
            break
    assert reasons & {Reason.TCP_SPEED, Reason.ELBOW_SPEED, Reason.TCP_ROTATION}


def test_abort_takes_the_last_decision_back_and_runs_the_stop_before_it(drive):
    drive.swing(60)
    before = drive.gate.snapshot()
    planned = drive.gate._memory.motion.stop.at(PERIOD_S)[0]
    went = drive.tick(*drive.target()).q
    decision = drive.gate.abort(drive.now_ns)
    assert (decision.verdict, decision.reason, decision.stopping) == (Verdict.STOP, Reason.GROUP, True)
    assert (decision.value, decision.limit) == (0.0, 0.0)
    assert decision.q == planned
    assert decision.q != went
    assert drive.gate.snapshot()["sent"][:-1] == before["sent"][1:]  # one in, and the oldest is out of the window
    drive.decision = decision
    assert run_out(drive)[-1].at_rest


def test_a_restored_gate_goes_on_bit_for_bit(drive, robot, profile, workspace, facts, candidate):
    drive.swing(60)
    for doing in ("driving", "braking", "stopping", "resting"):
        if doing == "braking":
            drive.tick()
        if doing == "stopping":
            drive.tick([math.nan] * 7, ZERO)
        if doing == "resting":
            run_out(drive)
        plain = json.loads(json.dumps(drive.gate.snapshot()))
        other = Gate(robot, profile, workspace, PERIOD_NS)
        other.restore(plain)
        assert other.snapshot() == plain
        for k in range(1, 4):
            now_ns = drive.now_ns + k * PERIOD_NS
            given = None if doing == "braking" else candidate(now_ns, q=drive.target()[0], dq=None)
            answers = [one.decide(now_ns, given, facts(now_ns), True, True) for one in (other, drive.gate)]
            assert repr(answers[0]) == repr(answers[1])  # NaN is not equal to itself
        drive.gate.restore(plain)


def test_a_reset_depends_on_nothing_but_where(drive, home, robot, profile, workspace):
    fresh = Gate(robot, profile, workspace, PERIOD_NS)
    fresh.reset(home)
    drive.swing(30)
    drive.gate.reset(home)
    assert drive.gate.snapshot() == fresh.snapshot()


def test_a_new_gate_stands_in_the_middle_of_the_joints(robot, profile, workspace):
    q = Gate(robot, profile, workspace, PERIOD_NS).snapshot()["memory"]["motion"]["q"]
    assert q == [0.5 * (low + high) for low, high in zip(robot.lower, robot.upper, strict=True)]


def pose_of(gate, q, shift=(0.0, 0.0, 0.0)):
    T = gate._kinematics.pose(q)
    T[:3, 3] += shift
    return T.ravel().tolist()


def test_a_pose_is_followed_in_joints(drive, home):
    for k in range(1, 60):
        t = k * PERIOD_S
        way = 0.02 * (1.0 - math.cos(2.0 * t))
        pose = pose_of(drive.gate, home, (0.0, 0.0, way))
        decision = drive.tick([], None, kind=Kind.CARTESIAN, T_base_ee=pose)
        assert decision.verdict is Verdict.PASS, decision
        got = drive.gate._kinematics.pose(decision.q)
        assert got[2, 3] == pytest.approx(pose[11], abs=1e-4)


def test_a_pose_out_of_reach_of_one_period_is_blended(drive, home):
    decision = drive.tick([], None, kind=Kind.CARTESIAN, T_base_ee=pose_of(drive.gate, home, (0.0, 0.0, 0.03)))
    assert decision.verdict is Verdict.SHAPE
    assert decision.reason is not Reason.NONE


def test_a_pose_of_another_branch_is_refused(drive, home):
    decision = drive.tick([], None, kind=Kind.CARTESIAN, T_base_ee=pose_of(drive.gate, home, (0.0, 0.5, 0.3)))
    assert (decision.verdict, decision.reason) == (Verdict.STOP, Reason.BRANCH)


def test_points_are_tool_and_elbow(gate, home):
    tool, elbow = gate.points(home)
    assert tool == pytest.approx((0.3069, 0.0, 0.4868), abs=1e-3)
    assert elbow == pytest.approx((-0.165, 0.0, 0.6148), abs=1e-3)


def test_of_many_stops_in_mid_move_none_is_refused(gate, candidate, facts, home, limits):
    rng = random.Random(11)
    stops, now_ns = 0, 10**12
    while stops < 20:  # in each profile; ten thousands of them in the fuzz
        gate.reset(home)
        q, w = list(home), [rng.uniform(0.5, 4.0) for _ in range(7)]
        a = [rng.uniform(-0.12, 0.12) / v for v in w]
        for k in range(1, rng.randrange(10, 60)):
            now_ns += PERIOD_NS
            t = k * PERIOD_S
            target = [b + c * (1.0 - math.cos(v * t)) for b, c, v in zip(home, a, w, strict=True)]
            dq = [c * v * math.sin(v * t) for c, v in zip(a, w, strict=True)]
            decision = gate.decide(now_ns, candidate(now_ns, q=target, dq=dq), facts(now_ns, q=q), True, True)
            q = decision.q
        ends, ticks = gate.stop_q, math.ceil(gate.stop_duration_s / PERIOD_S)
        for _ in range(ticks):
            now_ns += PERIOD_NS
            decision = gate.decide(now_ns, None, None, True, True)
        assert decision.at_rest
        assert decision.q == ends
        stops += 1


def test_where_nothing_can_be_blended_the_stored_stop_runs_on_and_is_counted(drive, monkeypatch):
    drive.swing(60)
    planned = drive.gate._memory.motion.stop.at(PERIOD_S)[0]
    monkeypatch.setattr(drive.gate._shaper, "step", lambda *given: None)
    q, dq = drive.target()
    decision = drive.tick([a + 0.03 for a in q], dq)
    assert (decision.verdict, decision.reason, decision.q) == (Verdict.SHAPE, Reason.JUMP, planned)
    monkeypatch.undo()


def test_a_stop_per_joint_is_restored_too(drive, robot, profile, workspace, monkeypatch):
    monkeypatch.setattr(drive.gate._trial.planner, "path", lambda q, dq, ddq: None)
    drive.swing(60)
    drive.tick()
    plain = json.loads(json.dumps(drive.gate.snapshot()))
    other = Gate(robot, profile, workspace, PERIOD_NS)
    other.restore(plain)
    for k in range(1, 6):
        now_ns = drive.now_ns + k * PERIOD_NS
        assert other.decide(now_ns, None, None, True, True) == drive.gate.decide(now_ns, None, None, True, True)


def test_an_arm_that_was_moved_outside_may_come_back_but_not_go_on(drive, home, limits):
    start = list(home)
    start[6] = limits.upper[6] + 0.02
    for inward, ok in ((True, True), (False, False)):
        drive.gate.reset(start)
        drive.start, drive.decision, q, dq = start, None, list(start), list(ZERO)
        verdicts = []
        for _ in range(6):
            speed = dq[6] + (-1.0 if inward else 1.0) * 0.2 * limits.acceleration[6] * PERIOD_S
            q[6] += 0.5 * (dq[6] + speed) * PERIOD_S
            dq[6] = speed
            decision = drive.tick(list(q), list(dq))
            verdicts.append(decision.verdict)
        assert (set(verdicts) == {Verdict.PASS}) is ok
        assert decision.q[6] <= start[6]
