import numpy as np
import pinocchio as pin
import pytest

from hil.plant import PlantError, World
from hil.scenes.fr3 import HAND_INERTIA, T_flange_ee_hand, urdf
from hil.scenes.table import OBJECTS
from runtime.cell import Cell, load_cell

STIFFNESS = np.array([3000.0, 3000.0, 3000.0, 2500.0, 2500.0, 2000.0, 2000.0])  # Franka's joint impedance
DAMPING = np.array([70.0, 95.0, 70.0, 60.0, 27.0, 22.0, 22.0])
T_FLANGE_EE = T_flange_ee_hand()


def changed(**arm_keys) -> Cell:
    cell = load_cell("emulated").model_dump(by_alias=True)
    cell["arms"]["main"].update(arm_keys)
    return Cell.model_validate(cell)


def hold(world, q, steps, *, dq=None):
    arm = world.arms["main"]
    for step in range(steps):
        target = q if dq is None else q + dq * (step + 1) * 1e-3
        arm.apply_torque(STIFFNESS * (target - arm.q) + DAMPING * ((0 if dq is None else dq) - arm.dq))
        world.step()


@pytest.fixture
def world():
    return World(load_cell("emulated"), seed=5)


def test_arm_floats_without_torque_as_the_robot_compensates_gravity(world):
    arm = world.arms["main"]
    start = arm.q
    for _ in range(500):
        world.step()
    np.testing.assert_allclose(arm.q, start, atol=1e-9)
    assert world.time_ns == 500_000_000


def test_tilted_base_floats_too():
    world = World(changed(T_base_mount={"xyz_m": [0, 0, 0.4], "rpy_rad": [0.3, 1.0, -0.4]}), seed=1)
    arm = world.arms["main"]
    start = arm.q
    for _ in range(200):
        world.step()
    np.testing.assert_allclose(arm.q, start, atol=1e-9)
    # The gravity that the arm reports is the one of its tilted base.
    R_world_base = pin.rpy.rpyToMatrix(0.3, 1.0, -0.4)
    model = pin.buildModelFromXML(urdf())
    hand = pin.Inertia(HAND_INERTIA.mass_kg, np.array(HAND_INERTIA.center_m), np.diag(HAND_INERTIA.inertia_kg_m2))
    model.appendBodyToJoint(7, hand, model.frames[model.getFrameId("link8")].placement)
    model.gravity.linear = R_world_base.T @ (0, 0, -9.81)
    np.testing.assert_allclose(
        arm.gravity(start), pin.computeGeneralizedGravity(model, model.createData(), start), atol=1e-9
    )


def test_stiff_joint_impedance_settles(world):
    arm = world.arms["main"]
    target = arm.q + (0.1, -0.1, 0.1, 0.1, -0.1, 0.1, 0.2)
    hold(world, target, 1500)
    np.testing.assert_allclose(arm.q, target, atol=1e-4)
    np.testing.assert_allclose(arm.dq, 0, atol=1e-4)


def test_free_motion_shows_no_external_torque(world):
    arm = world.arms["main"]
    for _ in range(10):
        hold(world, arm.q, 30, dq=np.array([0.5, -0.3, 0.5, -0.3, 1.0, 0.5, -1.0]))
        assert not arm.tau_ext().any()
        assert not arm.wrench_ext().any()


@pytest.mark.parametrize("link", [2, 4, 6, 8])
def test_push_appears_as_the_joint_torque_of_exactly_that_force(world, link):
    arm, force = world.arms["main"], np.array([3.0, -7.0, -12.0])
    q = arm.q
    arm.push(link, force, duration_ms=20)
    hold(world, q, 1)
    model = pin.buildModelFromXML(urdf())
    data = model.createData()
    pin.computeJointJacobians(model, data, q)
    pin.updateFramePlacements(model, data)
    if link == 8:
        frame, center = model.getFrameId("link8"), np.array(world.model.body("arm.main.hand").ipos)
        rotation = T_FLANGE_EE[:3, :3]  # the hand's centre is given in the hand's axes
        center = rotation @ center
    else:
        frame, center = model.getFrameId(f"link{link}"), model.inertias[link].lever
    J = pin.getFrameJacobian(model, data, frame, pin.LOCAL_WORLD_ALIGNED)
    offset = data.oMf[frame].rotation @ center
    linear = J[:3] - pin.skew(offset) @ J[3:]
    np.testing.assert_allclose(arm.tau_ext(), linear.T @ force, atol=1e-9)
    hold(world, q, 20)
    assert not arm.tau_ext().any()  # over after its 20 ms


def test_push_on_the_hand_is_the_wrench_of_that_force(world):
    arm, force = world.arms["main"], np.array([5.0, -4.0, -15.0])
    arm.push(8, force, duration_ms=1000)
    hold(world, arm.q, 1)
    q = arm.q
    wrench = arm.wrench_ext()
    np.testing.assert_allclose(wrench[:3], force, atol=1e-4)
    # It acts at the hand's centre of mass, not in frame K: the torque about K's origin says so.
    T_base_ee = arm.fk(q, arm.T_flange_k)
    T_base_flange = arm.fk(q, np.eye(4))
    center = T_FLANGE_EE[:3, :3] @ np.array(world.model.body("arm.main.hand").ipos)
    lever = T_base_flange[:3, :3] @ center + T_base_flange[:3, 3] - T_base_ee[:3, 3]
    np.testing.assert_allclose(wrench[3:], np.cross(lever, force), atol=1e-3)


def test_impossible_push_is_refused(world):
    arm = world.arms["main"]
    for link, force, duration_ms in ((0, [0, 0, 1], 5), (9, [0, 0, 1], 5), (3, [0, 0, np.nan], 5), (3, [0, 0, 1], -1)):
        with pytest.raises(ValueError):
            arm.push(link, force, duration_ms)


def test_torque_that_is_not_finite_is_refused(world):
    with pytest.raises(ValueError, match="finite"):
        world.arms["main"].apply_torque(np.array([0, 0, np.inf, 0, 0, 0, 0]))


def test_torque_is_cut_at_what_the_motors_give(world):
    arm, twin = world.arms["main"], World(load_cell("emulated"), seed=5)
    arm.apply_torque(np.full(7, 1e6))
    twin.arms["main"].apply_torque(np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0]))
    world.step()
    twin.step()
    np.testing.assert_array_equal(arm.dq, twin.arms["main"].dq)


def test_closed_brakes_hold_against_any_torque(world):
    arm = world.arms["main"]
    q = arm.q
    arm.set_brakes(True)
    arm.apply_torque(np.array([60.0, -60.0, 60.0, -60.0, 10.0, -10.0, 10.0]))
    for _ in range(1000):
        world.step()
    np.testing.assert_allclose(arm.q, q, atol=2e-3)
    assert not arm.tau_ext().any()  # the brake's force is not an external one
    arm.set_brakes(False)
    for _ in range(100):
        world.step()
    assert np.all(np.abs(arm.q - q) > 0.01)


def test_undeclared_load_pulls_and_declaring_it_balances_it():
    load = {"mass_kg": 1.2, "center_m": [0, 0.01, 0.05], "inertia_kg_m2": [0.002, 0.002, 0.002]}
    world = World(changed(load=load), seed=1)
    arm = world.arms["main"]
    q = arm.q
    hold(world, q, 1000)
    assert arm.wrench_ext()[2] == pytest.approx(-1.2 * 9.81, abs=1e-3)
    sag = arm.fk(q, T_FLANGE_EE)[2, 3] - arm.fk(arm.q, T_FLANGE_EE)[2, 3]
    arm.set_load(1.2, np.array([0, 0.01, 0.05]), np.diag([0.002, 0.002, 0.002]))
    hold(world, q, 1000)
    np.testing.assert_allclose(arm.wrench_ext(), 0, atol=1e-9)
    assert sag > 1e-3
    np.testing.assert_allclose(arm.q, q, atol=1e-6)


def test_load_declared_but_absent_lifts_the_arm(world):
    arm = world.arms["main"]
    arm.set_load(0.5, np.zeros(3), np.zeros((3, 3)))
    world.step()
    assert arm.wrench_ext()[2] == pytest.approx(0.5 * 9.81, abs=1e-3)
    assert np.linalg.norm(arm.dq) > 0


def test_pressing_on_the_table_is_felt_as_the_force_it_gives_back(world):
    arm = world.arms["main"]
    q = arm.q
    # Joint targets that lower the tool until they lie 4 mm deep in the table (the fingertips are 9 mm past the tool).
    while arm.fk(q, T_FLANGE_EE)[2, 3] > 0.005:
        dq = np.linalg.pinv(arm.jacobian(q, T_FLANGE_EE)) @ (0, 0, -0.5, 0, 0, 0)
        hold(world, q, 1, dq=dq)
        q = q + dq * 1e-3
    hold(world, q, 1000)
    wrench, tau = arm.wrench_ext(), STIFFNESS * (q - arm.q)
    assert wrench[2] > 20
    # At rest the motors' torque and the contact's balance.
    np.testing.assert_allclose(arm.tau_ext(), -tau, atol=0.2)
    np.testing.assert_allclose(arm.jacobian(arm.q, T_FLANGE_EE).T @ wrench, arm.tau_ext(), atol=0.2)


def test_same_seed_gives_the_same_scene_and_another_seed_another(world):
    poses = world.objects()
    twin = World(load_cell("emulated"), seed=5).objects()
    other = World(load_cell("emulated"), seed=6).objects()
    for name in OBJECTS:
        np.testing.assert_array_equal(np.concatenate(poses[name]), np.concatenate(twin[name]))
        assert np.linalg.norm(poses[name][0] - other[name][0]) > 1e-3


def test_reset_moves_the_objects_and_nothing_else(world):
    arm = world.arms["main"]
    hold(world, arm.q, 100, dq=np.full(7, 0.2))
    q, dq, time_ns, before = arm.q, arm.dq, world.time_ns, world.objects()
    world.reset(9)
    np.testing.assert_array_equal(arm.q, q)
    np.testing.assert_array_equal(arm.dq, dq)
    assert world.time_ns == time_ns
    assert np.linalg.norm(world.objects()["cube"][0] - before["cube"][0]) > 1e-3


def test_two_worlds_given_the_same_torques_stay_equal_to_the_last_bit():
    paths = []
    for _ in range(2):
        world = World(load_cell("emulated"), seed=2)
        hold(world, world.arms["main"].q + 0.05, 300)
        paths.append(np.concatenate((world.data.qpos, world.data.qvel)))
    np.testing.assert_array_equal(paths[0], paths[1])


def test_object_is_put_where_asked(world):
    quat = np.array([0.8, 0.0, 0.0, 0.6])
    world.set_object("cube", [0.45, 0.1, 0.2], 3 * quat)
    position, found = world.objects()["cube"]
    np.testing.assert_allclose(position, [0.45, 0.1, 0.2])
    np.testing.assert_allclose(found, quat)
    world.set_object("goal", [0.5, -0.1, 0.001], quat)
    np.testing.assert_allclose(world.objects()["goal"][0], [0.5, -0.1, 0.001])


@pytest.mark.parametrize(
    ("name", "position", "quat"),
    [("ball", [0, 0, 0], [1, 0, 0, 0]), ("cube", [0, np.nan, 0], [1, 0, 0, 0]), ("cube", [0, 0, 0], [0, 0, 0, 0])],
)
def test_impossible_object_pose_is_refused(world, name, position, quat):
    with pytest.raises(PlantError, match=name):
        world.set_object(name, position, quat)


def test_object_is_not_put_inside_an_arm():
    low = World(changed(home_q_rad=[0.0, 0.55, 0.0, -2.2, 0.0, 2.75, 0.785]), seed=0)  # the hand is among the objects
    for seed in range(40):
        low.reset(seed)
        assert not low._object_touches_robot()


def test_diverged_physics_is_an_error_and_never_goes_on_silently(world):
    world.data.qvel[:] = 1e12
    with pytest.raises(PlantError, match="diverged"):
        world.step()


def test_real_cell_has_no_physics():
    cell = load_cell("emulated").model_dump(by_alias=True)
    cell["emulated"], cell["cameras"] = None, {}
    with pytest.raises(PlantError, match="real cell"):
        World(Cell.model_validate(cell))
