"""Contact and collision by the thresholds of the client."""

import numpy as np
import pytest

from hil.fci.errors import ErrorFlag
from hil.fci.protocol import CollisionThresholds
from hil.fci.reflex import CollisionDetector

SETTLE = 60  # ms after which the filter has arrived


def thresholds(lower_torque, upper_torque, lower_force, upper_force, acceleration=1.0):
    sevens, sixes = np.ones(7), np.ones(6)
    return CollisionThresholds(
        lower_torque * acceleration * sevens, upper_torque * acceleration * sevens,
        lower_torque * sevens, upper_torque * sevens,
        lower_force * acceleration * sixes, upper_force * acceleration * sixes,
        lower_force * sixes, upper_force * sixes,
    )  # fmt: skip


@pytest.fixture
def detector():
    one = CollisionDetector()
    one.thresholds = thresholds(5.0, 10.0, 5.0, 10.0, acceleration=4.0)
    return one


def feel(detector, torque=0.0, force=0.0, accelerating=False, count=SETTLE):
    tau, wrench = np.zeros(7), np.zeros(6)
    tau[3], wrench[1] = torque, force
    return [detector.update(tau, wrench, accelerating) for _ in range(count)]


@pytest.mark.parametrize("sign", [1, -1])
def test_joint_torque_between_the_thresholds_is_contact_above_them_collision(detector, sign):
    assert set(feel(detector, torque=sign * 4.9)) == {None}
    assert detector.joint_contact.tolist() == [0.0] * 7
    assert set(feel(detector, torque=sign * 9.9)) == {None}
    assert detector.joint_contact.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert detector.joint_collision.tolist() == [0.0] * 7
    assert ErrorFlag.JOINT_REFLEX in feel(detector, torque=sign * 10.1)
    assert detector.joint_collision.tolist() == [0, 0, 0, 1, 0, 0, 0]


def test_force_beyond_its_threshold_is_a_cartesian_reflex_on_its_axis(detector):
    assert ErrorFlag.CARTESIAN_REFLEX in feel(detector, force=10.1)
    assert detector.cartesian_collision.tolist() == [0, 1, 0, 0, 0, 0]


def test_contact_ends_with_the_force_but_collision_latches_until_reset(detector):
    feel(detector, torque=20.0)
    assert feel(detector, torque=0.0)[-1] is None
    assert detector.joint_contact.tolist() == [0.0] * 7
    assert detector.joint_collision[3] == 1.0
    detector.reset()
    assert detector.joint_collision.tolist() == [0.0] * 7


def test_acceleration_phases_have_thresholds_of_their_own(detector):
    assert set(feel(detector, torque=30.0, force=30.0, accelerating=True)) == {None}
    assert ErrorFlag.JOINT_REFLEX in feel(detector, torque=30.0, count=1)


def test_spike_of_one_millisecond_is_no_collision(detector):
    assert feel(detector, torque=20.0, count=1) == [None]


def test_estimate_arrives_at_the_true_value(detector):
    feel(detector, torque=3.0, force=-2.0)
    assert detector.tau_ext[3] == pytest.approx(3.0, abs=1e-6)
    assert detector.wrench[1] == pytest.approx(-2.0, abs=1e-6)
