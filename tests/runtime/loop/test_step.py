"""The whole tick under a manual clock, over the real gate: who may move, what stops whom, and what is recorded."""

import numpy as np
import pytest

from runtime.loop.arm_view import STATE_LOST_NS
from runtime.loop.asks import DEAD_AFTER_NS, MIN_SPEED
from runtime.loop.step import SUPERVISOR_LOST_NS, LoopConfigError, Rt
from runtime.modes.causes import BY_REQUEST, Action, Cause, bit
from runtime.modes.machine import Mode, Refusal
from runtime.rows import ArmActivity, CommandMode, DriverState, RequestStatus, RobotMode
from runtime.rows_rt import RUN_NO_APPROACH, RtRequestKind, SourceKind
from runtime.sources.plan import Plan

K = RtRequestKind
PERIOD = 5_000_000


def mode(world, group=0):
    return Mode(world.modes["mode"][group])


def cause(world, group=0):
    return Cause(world.modes["cause"][group])


def answer(world):
    return RequestStatus(world.modes["request_status"]), Refusal(world.modes["refusal"])


def wait_for(world, *modes, ticks=600):
    for _ in range(ticks):
        if mode(world) in modes:
            return
        world.run()
    raise AssertionError(f"never {modes}: {mode(world)!r}, {cause(world)!r}")


# --- arming and moving ---


def test_nothing_is_commanded_before_arming(world):
    world.run(20)
    assert mode(world) is Mode.DISARMED
    assert world.ports.commands == [[]]
    world.ask(K.RUN, source=SourceKind.HOME)
    assert answer(world) == (RequestStatus.REFUSED, Refusal.WRONG_MODE)


def test_arming_holds_where_the_arm_is_until_the_driver_follows(world):
    world.run(15)
    world.ask(K.ARM)
    assert answer(world) == (RequestStatus.DONE, Refusal.NONE)
    assert (mode(world), world.modes["following"][0]) == (Mode.ARMED, 0)
    world.ports.arms[0].row["q"][3] += 0.05  # somebody pushes the arm before the driver is enabled
    world.ports.arms[0].row["q_d"] = world.ports.arms[0].row["q"]
    world.run(2)
    _, row = world.ports.commands[0][-1]
    assert row["q"].tolist() == world.ports.arms[0].row["q"].tolist()
    assert (row["generation"], row["mode"], row["period_ns"]) == (1001, CommandMode.JOINT_VELOCITY, PERIOD)
    assert row["valid_until_ns"] == world.now_ns - PERIOD + 50_000_000
    world.ask(K.RUN, source=SourceKind.HOME)
    assert answer(world)[1] is Refusal.NOT_FOLLOWING


def test_home_goes_to_the_cells_pose_and_holds(world):
    world.armed()
    world.home()
    assert mode(world) is Mode.RUNNING
    assert SourceKind(world.modes["lease"][0]) is SourceKind.HOME
    wait_for(world, Mode.HOLD)
    world.run(5)
    assert cause(world) is Cause.SOURCE_DONE
    assert world.ports.arms[0].row["q"] == pytest.approx(world.cell.arms["main"].home_q_rad, abs=1e-12)
    assert world.modes["shapes"][0] == world.modes["stops"][0] == world.modes["trips"][0] == 0
    world.home()
    assert mode(world) is Mode.RUNNING, "at rest, with its cause gone by itself, it may go again"


def test_a_plan_is_approached_then_run_then_held(world):
    world.armed()
    start = world.ports.arms[0].row["q"].tolist()
    start[5] += 0.03
    world.plan(4, world.small_plan(start))
    world.run(3)
    assert world.modes["plan_loaded"] == 4
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=4)
    assert mode(world) is Mode.APPROACH
    assert SourceKind(world.modes["lease"][0]) is SourceKind.WAYPOINTS
    wait_for(world, Mode.RUNNING)
    assert world.ports.arms[0].row["q"] == pytest.approx(start, abs=1e-6)
    wait_for(world, Mode.HOLD)
    assert cause(world) is Cause.SOURCE_DONE
    assert [Mode(m) for m in dict.fromkeys(row["mode"][0] for row in world.ports.modes)] == [
        Mode.DISARMED, Mode.ARMED, Mode.APPROACH, Mode.RUNNING, Mode.HOLD,
    ]  # fmt: skip


def test_a_start_that_is_not_here_is_refused_with_its_differences_where_asked(world):
    world.armed()
    start = world.ports.arms[0].row["q"].tolist()
    start[5] += 0.03
    world.plan(4, world.small_plan(start))
    world.run(3)
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=4, flag=RUN_NO_APPROACH)
    assert answer(world) == (RequestStatus.REFUSED, Refusal.BUMP)
    assert world.modes["refusal_values"] == pytest.approx([0, 0, 0, 0, 0, 0.03, 0], abs=1e-9)
    assert world.modes["refusal_limit"] == pytest.approx(1e-3)
    assert mode(world) is Mode.ARMED


def test_hold_brakes_on_the_path_and_run_goes_on_from_there(world):
    world.moving()
    world.ask(K.HOLD)
    assert (mode(world), cause(world)) == (Mode.HOLD, Cause.OPERATOR_HOLD)
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=1)
    assert answer(world)[1] is Refusal.NOT_STILL
    world.run(120)
    held = world.ports.arms[0].row["q"].copy()
    assert np.abs(world.ports.arms[0].row["dq"]).max() == 0.0
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=1)
    assert mode(world) is Mode.RUNNING
    world.run(1)
    assert np.abs(world.ports.arms[0].row["q"] - held).max() < 1e-4
    wait_for(world, Mode.HOLD)
    assert world.modes["stops"][0] == world.modes["shapes"][0] == 0


def test_speed_is_asked_kept_and_checked(world):
    world.armed()
    for speed, expected in ((0.3, Refusal.NONE), (MIN_SPEED, Refusal.NONE), (1.0, Refusal.NONE),
                            (MIN_SPEED * 0.99, Refusal.BAD_VALUE), (1.01, Refusal.BAD_VALUE),
                            (float("nan"), Refusal.BAD_VALUE)):  # fmt: skip
        world.ask(K.SPEED, values=(speed,))
        assert answer(world)[1] is expected, speed
    assert world.modes["speed_asked"][0] == 1.0


def test_jog_moves_while_the_hand_is_there(world):
    world.armed()
    world.ask(K.RUN, source=SourceKind.JOG)
    assert mode(world) is Mode.RUNNING
    before = world.ports.arms[0].row["q"].copy()
    for _ in range(20):
        world.ask(K.JOG, values=(0, 0, 0, 0, 0, 0, 0.1))
    assert world.ports.arms[0].row["q"][6] > before[6] + 0.001
    world.run(60)
    assert np.abs(world.ports.arms[0].row["dq"]).max() == 0.0
    world.ask(K.JOG, values=(0, 0, 0, float("inf"), 0, 0, 0))
    assert answer(world)[1] is Refusal.BAD_VALUE


def test_a_takeover_needs_the_hand_and_ends_with_it(world):
    world.moving()
    world.ask(K.TAKE_OVER, source=SourceKind.JOG)
    assert (mode(world), answer(world)[1]) == (Mode.RUNNING, Refusal.NOT_HELD)
    world.request(K.JOG, values=(0,) * 7)
    world.ask(K.TAKE_OVER, source=SourceKind.JOG)
    assert mode(world) is Mode.TAKEOVER, "out of motion, without a bump"
    generation = world.modes["generation"][0]
    world.ask(K.JOG, values=(0,) * 7)
    for _ in range(30):
        if mode(world) is not Mode.TAKEOVER:
            break
        world.run()
    assert mode(world) in (Mode.STOPPING, Mode.HOLD)
    wait_for(world, Mode.HOLD)
    assert cause(world) is Cause.DEADMAN
    assert world.modes["generation"][0] > generation
    world.ask(K.TAKE_OVER, source=SourceKind.WAYPOINTS, plan=1)
    assert answer(world)[1] is Refusal.NO_SOURCE, "only what a hand holds may take over"


def test_a_takeover_hands_back_without_a_bump_or_not_at_all(world):
    world.moving()
    world.request(K.JOG, values=(0,) * 7)
    world.ask(K.TAKE_OVER, source=SourceKind.JOG)
    for _ in range(40):
        world.ask(K.JOG, values=(0, 0, 0, 0, 0, 0, 0.2))
    assert mode(world) is Mode.TAKEOVER
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=1)
    assert answer(world)[1] is Refusal.BUMP
    assert abs(world.modes["refusal_values"][6]) > 1e-3
    assert mode(world) is Mode.TAKEOVER


# --- stops ---


def test_an_operators_stop_is_a_latch_acknowledged_only_when_still(world):
    world.moving()
    world.ask(K.STOP)
    assert (mode(world), cause(world)) == (Mode.STOPPING, Cause.OPERATOR_STOP)
    assert world.modes["waits_for"][0] == 1
    world.ask(K.ACK)
    assert answer(world) == (RequestStatus.REFUSED, Refusal.NOT_STILL)
    wait_for(world, Mode.FAULT)
    sent = len(world.ports.commands[0])
    world.run(5)
    assert len(world.ports.commands[0]) == sent, "a faulted arm gets no commands"
    world.ask(K.ARM)
    assert answer(world)[1] is Refusal.WRONG_MODE
    world.ask(K.ACK)
    world.run(2)
    assert (mode(world), cause(world)) == (Mode.DISARMED, Cause.NONE)
    world.ask(K.ARM)
    assert mode(world) is Mode.ARMED
    world.run()
    assert world.ports.commands[0][-1][1]["generation"] > world.ports.commands[0][sent - 1][1]["generation"]


def test_a_stop_asked_for_before_the_arms_are_known_is_not_forgotten(world):
    for arm in world.ports.arms:
        arm.silent = True
    world.supervised = False
    world.ask(K.STOP)
    assert (mode(world), world.modes["waits_for"][0]) == (Mode.STOPPING, 1)
    world.run(30)
    assert mode(world) is Mode.STOPPING, "not acknowledged: nobody has seen the arm to be still"
    for arm in world.ports.arms:
        arm.silent = False
    world.supervised = True
    wait_for(world, Mode.FAULT)
    assert world.ports.commands == [[]]


@pytest.mark.parametrize("named", [int(Cause.PROCESS_DEAD), int(Cause.ARM_REFLEX), 255])
def test_a_stop_for_whatever_reason_is_a_stop(world, named):
    world.armed()
    world.ask(K.STOP, cause=named)
    assert mode(world) is Mode.STOPPING
    known = BY_REQUEST >> named & 1 if named < 64 else 0
    assert cause(world) is (Cause(named) if known else Cause.OPERATOR_STOP)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"driver_state": DriverState.REFLEX}, Cause.ARM_REFLEX),
        ({"robot_mode": RobotMode.REFLEX}, Cause.ARM_REFLEX),
        ({"driver_state": DriverState.USER_STOP}, Cause.ARM_USER_STOP),
        ({"driver_state": DriverState.LINK_DEAD}, Cause.ARM_LINK_DEAD),
        ({"activity": ArmActivity.STOPPING}, Cause.DRIVER_LEFT),
        ({"activity": ArmActivity.STOPPING, "watchdog_stops": 1}, Cause.DRIVER_WATCHDOG),
    ],
)
def test_what_the_robot_or_driver_says_stops_in_that_tick(world, change, expected):
    world.moving()
    for field, value in change.items():
        world.ports.arms[0].row[field] = value
    world.run()
    assert (mode(world), cause(world)) == (Mode.STOPPING, expected)


def test_a_command_that_was_not_applied_as_sent_is_a_fault(world):
    world.moving()
    world.run()
    world.ports.arms[0].deaf = True
    row = world.ports.arms[0].row
    row["ack_sequence"] += 1
    world.run()
    assert (mode(world), cause(world)) == (Mode.STOPPING, Cause.ACK_DIFFERS)


def test_a_state_that_stops_coming_stops_the_arm(world):
    world.moving()
    world.ports.arms[0].silent = True
    ticks = 0
    while mode(world) is Mode.RUNNING:
        world.run()
        ticks += 1
    assert mode(world) in (Mode.HOLD, Mode.STOPPING)
    wait_for(world, Mode.STOPPING, ticks=STATE_LOST_NS // PERIOD)
    assert bit(Cause.ARM_STATE_LOST) & int(world.modes["active"][0]) or ticks * PERIOD <= STATE_LOST_NS
    world.run(60)
    assert mode(world) is Mode.STOPPING, "an arm that nobody sees is not still"


def test_without_a_supervisor_nothing_arms_and_motion_stops(world):
    world.moving()
    world.supervised = False
    world.run(SUPERVISOR_LOST_NS // PERIOD - 1)
    assert Cause(world.modes["cause"][0]) is not Cause.SUPERVISOR_LOST
    world.run(2)
    assert cause(world) is Cause.SUPERVISOR_LOST
    wait_for(world, Mode.FAULT)


def test_a_gap_is_a_stop_that_needs_re_arming(world):
    world.moving()
    world.now_ns += 100_000_000
    world.run()
    assert (mode(world), cause(world)) == (Mode.STOPPING, Cause.TICK_GAP)
    assert world.modes["skipped"] == 20
    wait_for(world, Mode.HOLD)
    world.ask(K.ACK)
    assert answer(world)[1] is Refusal.NONE
    world.home()
    assert answer(world) == (RequestStatus.REFUSED, Refusal.CAUSE)
    world.ask(K.DISARM)
    assert (mode(world), cause(world)) == (Mode.DISARMED, Cause.NONE)


def test_an_overrun_advances_the_path_by_one_period_and_never_catches_up(world):
    world.moving()
    before = world.ports.commands[0][-1][1]["q"].copy()
    world.now_ns += 4 * PERIOD
    world.run()
    one_tick = np.abs(world.ports.commands[0][-1][1]["q"] - before).max()
    assert one_tick <= np.abs(world.ports.commands[0][-1][1]["dq"]).max() * PERIOD * 1e-9 * 1.1
    assert world.modes["skipped"] == 4
    assert mode(world) is Mode.RUNNING


def test_late_ticks_slow_the_path_down(world):
    world.moving()
    world.run(3, late_ns=4_000_000)
    assert (mode(world), Action(world.modes["action"][0])) == (Mode.RUNNING, Action.SLOW)
    assert (world.modes["speed"][0], world.modes["speed_asked"][0]) == (0.5, 1.0)


def test_a_jump_of_the_source_is_stopped_by_the_gate_and_needs_an_acknowledgement(world):
    world.armed()
    plan = world.small_plan(world.ports.arms[0].row["q"].tolist())
    q = list(plan.q)
    q[20:] = [tuple(value + 0.5 for value in one) for one in q[20:]]
    world.plan(1, Plan(0, plan.sample_ns, tuple(q), plan.dq))
    world.run(3)
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=1)
    wait_for(world, Mode.STOPPING)
    assert cause(world) in (Cause.GATE_STOP, Cause.GATE_TRIP)
    assert world.modes["reason"][0] > 0
    tick = next(row for row in world.ports.ticks[0] if row["verdict"] >= 2)
    assert tick["mode"] == Mode.STOPPING, "in that tick"
    assert np.abs(tick["candidate_q"] - tick["q"]).max() > 0.05
    wait_for(world, Mode.HOLD, Mode.FAULT)
    steps = np.abs(np.diff([row["q"] for _, row in world.ports.commands[0]], axis=0)).max()
    assert steps < 0.01, "nothing of the jump was sent"


def test_shutdown_brings_the_arm_to_rest_first(world):
    world.moving()
    world.run(shutdown=True)
    assert mode(world) is Mode.STOPPING
    assert world.rt.commanding
    for _ in range(200):
        if not world.rt.commanding:
            break
        world.run(shutdown=True)
    assert not world.rt.commanding
    assert np.abs(world.ports.arms[0].row["dq"]).max() == 0.0


# --- groups ---


def test_one_stops_and_all_of_its_group_stop_in_that_tick(make_world):
    world = make_world({"left": "pair", "right": "pair", "other": "alone"})
    world.armed(0)
    world.armed(1)
    start = world.ports.arms[1].row["q"].tolist()
    index = {name: k for k, name in enumerate(world.cell.arms)}
    assert [group.name for group in world.rt.groups] == ["alone", "pair"]
    world.plan(1, world.small_plan(start, arm=index["right"]))
    world.run(3)
    world.ask(K.RUN, group=1, arm=index["right"], source=SourceKind.WAYPOINTS, plan=1)
    world.run(45)
    assert mode(world, 1) is Mode.RUNNING
    world.ports.arms[index["left"]].row["driver_state"] = DriverState.REFLEX
    world.run()
    ticks = [world.ports.ticks[index[name]][-1] for name in ("left", "right", "other")]
    assert [Mode(tick["mode"]) for tick in ticks] == [Mode.STOPPING, Mode.STOPPING, Mode.ARMED]
    speeds = [np.abs(row["dq"]).max() for _, row in world.ports.commands[index["right"]][-3:]]
    assert speeds[2] < speeds[1], "brakes in the very tick"


def test_a_gates_stop_of_one_arm_takes_back_what_the_other_was_just_allowed(make_world):
    world = make_world({"left": "pair", "right": "pair"})
    world.armed()
    start = world.ports.arms[0].row["q"].tolist()
    world.plan(1, world.small_plan(start))
    world.run(3)
    world.ask(K.RUN, arm=0, source=SourceKind.WAYPOINTS, plan=1)
    world.run(45)
    world.ports.arms[1].row["wrench_base"] = [500.0, 0, 0, 0, 0, 0]  # the gate of the right arm will not have it
    before = world.ports.commands[0][-1][1]["dq"][0]
    world.run()
    left, right = (ticks[-1] for ticks in world.ports.ticks)
    assert (right["verdict"], left["verdict"]) == (2, 2)
    assert mode(world) is Mode.STOPPING
    assert abs(left["dq"][0]) < abs(before)
    assert left["q"].tolist() == world.ports.commands[0][-1][1]["q"].tolist()


# --- requests ---


def test_old_and_outdated_requests_are_dead_but_a_stop_never_is(world):
    world.run(15)
    world.request(K.ARM, stamp_ns=world.now_ns - DEAD_AFTER_NS - 1)
    world.run()
    assert answer(world)[1] is Refusal.SUPERSEDED
    world.ask(K.ARM, generation=999)
    assert answer(world)[1] is Refusal.SUPERSEDED
    world.ask(K.ARM, generation=1000)
    assert mode(world) is Mode.ARMED
    world.request(K.STOP, stamp_ns=0, generation=1)
    world.run()
    assert mode(world) is Mode.STOPPING


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (77, {}, Refusal.BAD_VALUE),
        (K.ARM, {"group": 3}, Refusal.BAD_VALUE),
        (K.RUN, {"arm": 5, "source": SourceKind.HOME}, Refusal.NO_SOURCE),
        (K.RUN, {"source": SourceKind.HOLD}, Refusal.NO_SOURCE),
        (K.RUN, {"source": SourceKind.WAYPOINTS, "plan": 3}, Refusal.NO_SOURCE),
    ],
)
def test_requests_that_mean_nothing_are_refused(world, kind, fields, expected):
    world.armed()
    world.ask(kind, **fields)
    assert answer(world) == (RequestStatus.REFUSED, expected)
    assert mode(world) is Mode.ARMED


def test_a_request_after_one_that_asks_for_a_mode_waits_a_tick(world):
    world.run(15)
    world.request(K.ARM)
    world.request(K.STOP)
    world.run()
    assert mode(world) is Mode.ARMED
    world.run()
    assert mode(world) is Mode.STOPPING


def test_unknown_limits_and_another_robot_forbid_arming(make_world):
    world = make_world()
    world.rt.arms[0].epoch = 0
    world.run(15)
    world.ask(K.ARM)
    assert (answer(world)[1], cause(world)) == (Refusal.CAUSE, Cause.NO_LIMITS)
    world.rt.robot_changed(0)
    world.ask(K.ARM)
    assert (answer(world)[1], cause(world)) == (Refusal.CAUSE, Cause.ROBOT_CHANGED)


def test_a_cell_that_does_not_fit_the_rows_is_refused(make_world):
    with pytest.raises(LoopConfigError, match="5 arms in 5 stop groups"):
        make_world({f"arm{k}": f"group{k}" for k in range(5)})


def test_every_tick_leaves_its_row(world):
    world.moving()
    ticks, modes = world.ports.ticks[0], world.ports.modes
    assert [row["tick"] for row in ticks] == list(range(1, len(modes) + 1)) == [row["tick"] for row in modes]
    sent = [row for row in ticks if row["sent"]]
    assert [row["command_sequence"] for row in sent] == list(range(1, len(sent) + 1))
    for row, (_, command) in zip(sent, world.ports.commands[0], strict=True):
        assert row["q"].tolist() == command["q"].tolist()
        assert row["generation"] == command["generation"]
    generations = [row["generation"][0] for row in modes]
    assert generations == sorted(generations)
    assert isinstance(world.rt, Rt)
