"""Commands of the hand end as they should, whatever stands between the fingers."""

import math

import pytest

from hil.fci.hand_motion import MAX_FORCE_N, MAX_SPEED_M_S, HandMotion, beyond_the_hand, refusal
from hil.fci.hand_wire import Grasp, Homing, Move, Outcome


def run(motion, fingers, limit_ms=20_000):
    """Step until the command ends; returns outcome and milliseconds."""
    for millisecond in range(1, limit_ms + 1):
        fingers.step()
        outcome = motion.step()
        if outcome is not None:
            return outcome, millisecond
    raise AssertionError(f"no outcome within {limit_ms} ms")


def test_a_move_ends_at_its_width_after_the_time_its_speed_needs(fingers):
    motion = HandMotion(fingers)
    motion.start(Move(0.07, 0.05))
    outcome, milliseconds = run(motion, fingers)
    assert outcome is Outcome.SUCCESS
    assert fingers.width_m == pytest.approx(0.07, abs=0.0006)
    assert milliseconds == pytest.approx(600, abs=12)


@pytest.mark.parametrize("speed_m_s", [0.1, 0.01, 0.0004])
def test_a_slow_move_is_not_mistaken_for_a_stopped_one(fingers, speed_m_s):
    motion = HandMotion(fingers)
    motion.start(Move(0.038, speed_m_s))
    assert run(motion, fingers)[0] is Outcome.SUCCESS


def test_a_move_onto_an_object_is_unsuccessful_and_holds_nothing(fingers):
    fingers.object_m = 0.03
    motion = HandMotion(fingers)
    motion.start(Move(0.01, 0.1))
    assert run(motion, fingers)[0] is Outcome.UNSUCCESSFUL
    assert fingers.width_m == 0.03
    assert not motion.is_grasped


@pytest.mark.parametrize(
    ("width_m", "inner_m", "outer_m", "held"),
    [
        (0.030, 0.005, 0.005, True),
        (0.034, 0.005, 0.005, True),
        (0.036, 0.005, 0.005, False),  # the object is 6 mm narrower than asked
        (0.024, 0.005, 0.005, False),  # ... and 6 mm wider
        (0.024, 0.005, 0.007, True),
        (0.000, 0.000, 0.080, True),
    ],
)
def test_an_object_is_held_only_inside_the_width_window(fingers, width_m, inner_m, outer_m, held):
    fingers.object_m = 0.030
    motion = HandMotion(fingers)
    motion.start(Grasp(width_m, inner_m, outer_m, 0.1, 20.0))
    outcome, _ = run(motion, fingers)
    assert motion.is_grasped is held
    assert outcome is (Outcome.SUCCESS if held else Outcome.UNSUCCESSFUL)


def test_a_grasp_on_nothing_is_unsuccessful_even_with_a_window_down_to_zero(fingers):
    motion = HandMotion(fingers)
    motion.start(Grasp(0.0, 0.01, 0.08, 0.1, 20.0))
    outcome, milliseconds = run(motion, fingers)
    assert outcome is Outcome.UNSUCCESSFUL
    assert milliseconds < 420, "it ends when the fingers meet, not when they stall"
    assert not motion.is_grasped


@pytest.mark.parametrize("width_m", [5 / 128, 3 / 128])
def test_the_ends_of_the_window_do_not_belong_to_it(fingers, width_m):
    fingers.object_m = 4 / 128  # powers of two: the sums are exact
    motion = HandMotion(fingers)
    motion.start(Grasp(width_m, 1 / 128, 1 / 128, 0.1, 20.0))
    assert run(motion, fingers)[0] is Outcome.UNSUCCESSFUL


def test_a_soft_object_is_held_at_the_width_where_it_gives_no_more(fingers):
    fingers.object_m, fingers.soft_m = 0.030, 0.038
    motion = HandMotion(fingers)
    motion.start(Grasp(0.030, 0.005, 0.005, 0.02, 20.0))
    assert run(motion, fingers)[0] is Outcome.SUCCESS
    assert fingers.width_m == 0.030


def test_stop_lets_go_of_the_claim_to_hold_something(fingers):
    fingers.object_m = 0.03
    motion = HandMotion(fingers)
    motion.start(Grasp(0.03, 0.005, 0.005, 0.1, 20.0))
    run(motion, fingers)
    motion.halt()
    assert not motion.is_grasped


def test_fingers_that_jam_on_the_way_back_end_homing(fingers):
    motion = HandMotion(fingers)
    motion.start(Homing())
    while fingers.target_m < 0.08:
        fingers.step()
        assert motion.step() is None
    fingers.jammed = True
    assert run(motion, fingers)[0] is Outcome.UNSUCCESSFUL


def test_a_lost_object_is_no_longer_grasped_even_where_the_fingers_meet(fingers):
    fingers.object_m = 0.003  # closes in 30 ms: shorter than the time after which an object counts as lost
    motion = HandMotion(fingers)
    motion.start(Grasp(0.003, 0.002, 0.002, 0.1, 20.0))
    assert run(motion, fingers)[0] is Outcome.SUCCESS
    fingers.object_m = None
    for _ in range(200):
        fingers.step()
        assert motion.step() is None
    assert fingers.blocked, "the fingers should press on each other now"
    assert not motion.is_grasped


def test_a_bounce_of_the_contact_does_not_lose_the_object(fingers):
    fingers.object_m = 0.03
    motion = HandMotion(fingers)
    motion.start(Grasp(0.03, 0.005, 0.005, 0.1, 20.0))
    run(motion, fingers)
    for _ in range(5):
        fingers.object_m = None
        motion.step()
        fingers.object_m = 0.03
        motion.step()
    assert motion.is_grasped


@pytest.mark.parametrize("command", [Move(0.07, 0.05), Grasp(0.03, 0.005, 0.005, 0.1, 20.0), Homing()])
def test_every_new_command_lets_go_of_the_grasp_before(fingers, command):
    fingers.object_m = 0.03
    motion = HandMotion(fingers)
    motion.start(Grasp(0.03, 0.005, 0.005, 0.1, 20.0))
    run(motion, fingers)
    assert motion.is_grasped
    motion.start(command)
    assert not motion.is_grasped


def test_fingers_that_jam_end_every_command(fingers):
    fingers.jammed = True
    for command in (Move(0.07, 0.05), Grasp(0.03, 0.005, 0.005, 0.1, 20.0), Homing()):
        motion = HandMotion(fingers)
        motion.start(command)
        outcome, milliseconds = run(motion, fingers)
        assert outcome is Outcome.UNSUCCESSFUL
        assert milliseconds < 1000


def test_homing_finds_both_ends(fingers):
    motion = HandMotion(fingers)
    motion.start(Homing())
    outcome, _ = run(motion, fingers)
    assert outcome is Outcome.SUCCESS
    assert fingers.width_m == pytest.approx(0.08, abs=0.0006)
    assert motion.max_width_m == fingers.width_m


def test_homing_with_an_object_between_the_fingers_is_unsuccessful(fingers):
    fingers.object_m = 0.03
    motion = HandMotion(fingers)
    motion.start(Homing())
    assert run(motion, fingers)[0] is Outcome.UNSUCCESSFUL


def test_speed_and_force_are_held_to_what_the_hand_can_do(fingers):
    motion = HandMotion(fingers)
    motion.start(Grasp(0.03, 0.005, 0.005, 5.0, 1000.0))
    assert fingers.step_m == MAX_SPEED_M_S * 1e-3
    assert fingers.force_n == MAX_FORCE_N
    assert beyond_the_hand(Grasp(0.03, 0.005, 0.005, 5.0, 10.0)) == "speed 5 m/s: it moves at 0.1 m/s"
    assert beyond_the_hand(Grasp(0.03, 0.005, 0.005, 0.1, 1000.0)) == "force 1000 N: it presses with 140 N"
    assert beyond_the_hand(Grasp(0.03, 0.005, 0.005, 0.1, 140.0)) is None


def test_a_finished_grasp_survives_the_client_and_a_running_one_does_not(fingers):
    fingers.object_m = 0.03
    motion = HandMotion(fingers)
    motion.start(Grasp(0.03, 0.005, 0.005, 0.01, 20.0))
    motion.abandon()
    assert motion.running is None
    assert fingers.target_m == fingers.width_m, "a running command must stop the fingers"
    motion.start(Grasp(0.03, 0.005, 0.005, 0.1, 20.0))
    run(motion, fingers)
    motion.abandon()
    assert motion.is_grasped
    assert fingers.target_m == 0.0


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (Move(math.nan, 0.1), "width_m is nan"),
        (Move(0.04, math.inf), "speed_m_s is inf"),
        (Move(-0.001, 0.1), "width -0.001 m: allowed 0 to 0.08"),
        (Move(0.081, 0.1), "width 0.081 m"),
        (Move(0.04, 0.0), "speed 0 m/s"),
        (Grasp(0.03, 0.005, 0.005, 0.1, 0.0), "force 0 N"),
        (Grasp(0.03, -0.005, 0.005, 0.1, 10.0), "window"),
        (Grasp(0.03, 0.005, math.nan, 0.1, 10.0), "epsilon_outer_m is nan"),
    ],
)
def test_what_the_hand_refuses_is_named(command, named):
    assert named in refusal(command, 0.08)


@pytest.mark.parametrize(
    "command",
    [Homing(), Move(0.0, 0.01), Move(0.08, 5.0), Grasp(0.0, 0.0, 0.08, 0.1, 1000.0), Grasp(0.03, 0.01, 0.0, 0.1, 0.5)],
)
def test_what_the_hand_can_do_is_not_refused(command):
    assert refusal(command, 0.08) is None
