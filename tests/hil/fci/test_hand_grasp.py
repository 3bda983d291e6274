"""The real gripper client and the real physics: held is what contact holds, inside the window and against gravity."""

import franky
import mujoco
import numpy as np
import pytest

from hil.plant import World
from hil.scenes.fr3 import T_flange_ee_hand
from runtime.cell import load_cell

CUBE_M = 0.05
GRAVITY = (0.0, 0.0, -9.81)


@pytest.fixture
def world():
    """The shipped cell with its arm's brakes locked and without gravity: an object stays where it is put."""
    world = World(load_cell("emulated"), seed=1)
    world.arms["main"].set_brakes(True)
    world.model.opt.gravity[:] = 0.0
    return world


@pytest.fixture
def hand(run_hand, world):
    return run_hand(world.hands["main"], world.step)


@pytest.fixture
def gripper(hand):
    return franky.Gripper(hand.host)


@pytest.fixture
def cube(hand, world):
    """Puts the cube between the fingers, sides along them; `cube()` tells its height."""
    arm = world.arms["main"]
    T = arm.fk(arm.q, T_flange_ee_hand())  # the base is the world's origin in this cell
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(T[:3, :3]).ravel())
    hand.between_steps(lambda: world.set_object("cube", T[:3, 3], quat))
    return lambda: hand.between_steps(lambda: world.objects()["cube"][0][2])


def set_gravity(hand, world):
    def switch():
        world.model.opt.gravity[:] = GRAVITY

    hand.between_steps(switch)


def pass_ms(hand, milliseconds):
    end = hand.time_ns + milliseconds * 1_000_000
    hand.wait_until(lambda: hand.time_ns >= end)


def test_a_grasped_object_hangs_in_the_hand_and_falls_when_it_opens(hand, world, gripper, cube):
    height = cube()
    assert gripper.grasp(CUBE_M, 0.1, 20.0) is True
    assert world.hands["main"].grip_force_n == pytest.approx(20.0, rel=0.15)
    set_gravity(hand, world)
    pass_ms(hand, 1000)
    assert cube() == pytest.approx(height, abs=0.003)
    assert gripper.state.is_grasped
    assert gripper.state.width == pytest.approx(CUBE_M, abs=0.002)
    assert gripper.open(0.1)
    pass_ms(hand, 1000)
    assert cube() < 0.1
    assert not gripper.state.is_grasped


def test_a_grasp_on_nothing_is_unsuccessful(gripper, world):
    assert gripper.grasp(CUBE_M, 0.1, 20.0) is False
    assert world.hands["main"].width_m < 0.002


@pytest.mark.parametrize(("width_m", "held"), [(0.053, True), (0.047, True), (0.057, False), (0.043, False)])
def test_an_object_of_the_wrong_width_is_not_held(gripper, cube, width_m, held):
    assert gripper.grasp(width_m, 0.1, 20.0) is held
    assert gripper.state.is_grasped is held


def test_an_object_taken_out_of_the_hand_is_noticed(hand, world, gripper, cube):
    assert gripper.grasp(CUBE_M, 0.1, 20.0)
    hand.between_steps(lambda: world.set_object("cube", (0.5, 0.3, 0.3), (1, 0, 0, 0)))
    hand.wait_until(lambda: not hand.server.motion.is_grasped, steps=1000)
    assert gripper.state.is_grasped is False


def test_a_move_onto_an_object_stops_at_it_and_says_so(gripper, cube, world):
    assert gripper.move(0.02, 0.1) is False
    assert world.hands["main"].width_m == pytest.approx(CUBE_M, abs=0.002)
    assert not gripper.state.is_grasped


def test_homing_finds_the_travel_and_an_object_in_the_way(gripper, cube, hand, world):
    assert gripper.homing() is False
    hand.between_steps(lambda: world.set_object("cube", (0.5, 0.3, 0.3), (1, 0, 0, 0)))
    assert gripper.homing() is True
    assert gripper.max_width == pytest.approx(0.08, abs=0.001)


def test_stop_ends_a_closing_grasp_before_it_touches(gripper, cube, hand, world):
    future = gripper.grasp_async(CUBE_M, 0.001, 20.0)
    hand.wait_until(lambda: world.hands["main"].width_m < 0.079)
    assert gripper.stop()
    with pytest.raises(franky.CommandException, match="aborted"):
        future.get()
    width_m = world.hands["main"].width_m
    pass_ms(hand, 500)
    assert world.hands["main"].width_m == pytest.approx(width_m, abs=0.0005)
    assert world.hands["main"].grip_force_n == 0.0
