import numpy as np
import pytest

from hil.plant import World
from hil.scenes.fr3 import T_flange_ee_hand
from runtime.cell import load_cell

STIFFNESS = np.array([3000.0, 3000.0, 3000.0, 2500.0, 2500.0, 2000.0, 2000.0])
DAMPING = np.array([70.0, 95.0, 70.0, 60.0, 27.0, 22.0, 22.0])
T_FLANGE_EE = T_flange_ee_hand()
GRASP_HEIGHT_M = {"cube": 0.025, "block": 0.020, "cylinder": 0.035}


class Operator:
    """Drives the arm of a world by joint impedance to poses of the tool that points down."""

    def __init__(self, seed):
        self.world = World(load_cell("emulated"), seed)
        self.arm, self.hand = self.world.arms["main"], self.world.hands["main"]
        self.q = self.arm.q

    def go(self, position_m, yaw_rad, steps):
        c, s = np.cos(yaw_rad), np.sin(yaw_rad)
        R = np.array([[c, s, 0], [s, -c, 0], [0, 0, -1]])
        target, start = self.q.copy(), self.q
        for _ in range(20):
            T, J = self.arm.fk(target, T_FLANGE_EE), self.arm.jacobian(target, T_FLANGE_EE)
            turn = R @ T[:3, :3].T
            axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
            target = target + J.T @ np.linalg.solve(
                J @ J.T + 1e-6 * np.eye(6), np.concatenate((position_m - T[:3, 3], axis))
            )
        for step in range(steps):
            part = (step + 1) / steps
            self.q = start + (target - start) * part * part * (3 - 2 * part)
            self.arm.apply_torque(STIFFNESS * (self.q - self.arm.q) - DAMPING * self.arm.dq)
            self.world.step()

    def wait(self, steps):
        for _ in range(steps):
            self.arm.apply_torque(STIFFNESS * (self.q - self.arm.q) - DAMPING * self.arm.dq)
            self.world.step()

    def grasp(self, name, force_n):
        (x, y, _), quat = self.world.objects()[name]
        yaw = 2 * np.arctan2(quat[3], quat[0]) + (np.pi / 2 if name == "block" else 0)
        yaw = (yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4 if name != "block" else (yaw + np.pi / 2) % np.pi - np.pi / 2
        height = GRASP_HEIGHT_M[name]
        self.go(np.array([x, y, height + 0.12]), yaw, 800)
        self.go(np.array([x, y, height]), yaw, 500)
        self.wait(150)
        self.hand.set_target(0.0, 0.1, force_n)
        self.wait(700)
        return np.array([x, y, height]), yaw


@pytest.mark.parametrize(
    ("name", "width_m", "mass_kg"), [("cube", 0.05, 0.12), ("block", 0.036, 0.10), ("cylinder", 0.044, 0.10)]
)
def test_grasped_object_is_lifted_and_held_through_motion_and_its_weight_is_felt(name, width_m, mass_kg):
    operator = Operator(seed=3)
    place, yaw = operator.grasp(name, force_n=20.0)
    hand, world = operator.hand, operator.world
    assert hand.blocked
    assert hand.grip_force_n == pytest.approx(20.0, abs=1.5)
    assert hand.width_m == pytest.approx(width_m, abs=5e-4)
    operator.go(place + (0, 0, 0.15), yaw, 400)
    in_hand = world.objects()[name][0] - operator.arm.fk(operator.arm.q, T_FLANGE_EE)[:3, 3]
    operator.go(np.array([0.45, -0.25, 0.30]), yaw + 0.5, 500)
    operator.go(np.array([0.45, 0.20, 0.30]), yaw, 600)
    operator.wait(600)
    position = world.objects()[name][0]
    np.testing.assert_allclose(position - operator.arm.fk(operator.arm.q, T_FLANGE_EE)[:3, 3], in_hand, atol=4e-3)
    np.testing.assert_allclose(operator.arm.wrench_ext()[:3], [0, 0, -mass_kg * 9.81], atol=0.02)
    assert hand.blocked
    hand.stop()
    operator.wait(200)
    assert hand.blocked, "a stopped hand lets nothing fall"
    hand.set_target(0.08, 0.1, 20.0)
    operator.wait(400)
    assert not hand.blocked
    assert world.objects()[name][0][2] < position[2] - 0.1


def test_grip_is_as_strong_as_asked():
    operator = Operator(seed=1)
    operator.grasp("cube", force_n=60.0)
    assert operator.hand.grip_force_n == pytest.approx(60.0, abs=1.0)
    operator.hand.set_target(0.0, 0.1, 10.0)
    operator.wait(200)
    assert operator.hand.grip_force_n == pytest.approx(10.0, abs=1.0)


@pytest.fixture
def free():
    world = World(load_cell("emulated"), seed=0)
    return world, world.hands["main"]


def test_hand_that_closes_on_nothing_is_not_blocked(free):
    world, hand = free
    hand.set_target(0.0, 0.1, 40.0)
    for _ in range(1200):
        world.step()
        assert not hand.blocked
    assert hand.width_m == pytest.approx(0.0, abs=1e-4)


def test_width_changes_at_the_speed_asked_for(free):
    world, hand = free
    hand.set_target(0.02, 0.05, 20.0)
    for _ in range(200):
        world.step()
    early = hand.width_m
    for _ in range(500):
        world.step()
    assert (early - hand.width_m) / 0.5 == pytest.approx(0.05, rel=0.01)
    for _ in range(1000):
        world.step()
    assert hand.width_m == pytest.approx(0.02, abs=1e-4)


def test_stop_stays_where_it_is(free):
    world, hand = free
    hand.set_target(0.0, 0.05, 20.0)
    for _ in range(500):
        world.step()
    hand.stop()
    width = hand.width_m
    for _ in range(500):
        world.step()
    assert hand.width_m == pytest.approx(width, abs=5e-4)


def test_moving_arm_does_not_open_the_hand(free):
    world, hand = free
    arm = world.arms["main"]
    hand.set_target(0.03, 0.1, 20.0)
    for _ in range(700):
        world.step()
    q = arm.q
    for step in range(600):
        target = q + 0.3 * np.sin(2 * np.pi * step / 300) * np.array([1, 0, 0, 0, 0, 0, 1])
        arm.apply_torque(STIFFNESS * (target - arm.q) - DAMPING * arm.dq)
        world.step()
        assert hand.width_m == pytest.approx(0.03, abs=1e-3)


@pytest.mark.parametrize("values", [(np.nan, 0.1, 20), (0.0, 0.0, 20), (0.0, 0.1, -1), (0.0, np.inf, 20)])
def test_impossible_target_is_refused(free, values):
    with pytest.raises(ValueError, match="main"):
        free[1].set_target(*values)
