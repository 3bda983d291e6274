"""The gate lets nothing pass that the connected robot or its driver would refuse."""

import json

import pytest

from runtime.loop.kit import IdentityError, build_kit, parse_identity


@pytest.fixture
def kit_of(make_world, identity_json):
    cell = make_world().cell

    def build(**limits):
        data = json.loads(identity_json)
        data["limits"].update(limits)
        return build_kit(parse_identity(json.dumps(data).encode(), "test"), cell, "main", 5_000_000)

    return build


def test_a_driver_that_follows_less_than_the_robot_can_tightens_the_gate(kit_of):
    wide = kit_of(velocity_rad_s=[100.0] * 7, acceleration_rad_s2=[1e6] * 7, jerk_rad_s3=[1e9] * 7).gate.robot
    assert wide.velocity[0] == 2.62
    assert wide.velocity[4] == 5.26
    narrow = kit_of(velocity_rad_s=[1.0] * 7, acceleration_rad_s2=[2.0] * 7, jerk_rad_s3=[30.0] * 7).gate.robot
    assert narrow.velocity == (1.0,) * 7
    assert narrow.acceleration == (2.0,) * 7
    assert narrow.jerk == (30.0,) * 7


@pytest.mark.parametrize(
    "bad", [[1.0] * 6, [0.0] * 7, [-1.0] * 7, [float("nan")] * 7, [float("inf")] * 7, "fast", None]
)
def test_limits_that_are_none_are_refused(kit_of, bad):
    with pytest.raises(IdentityError, match="limits|identity file"):
        kit_of(velocity_rad_s=bad)


def test_an_identity_without_limits_is_refused(identity_json):
    data = json.loads(identity_json)
    del data["limits"]
    with pytest.raises(IdentityError, match="'limits'.*restart the arm driver"):
        parse_identity(json.dumps(data).encode(), "test")
