"""What a driver is asked follows from rt's mode and the driver's state, once each."""

import pytest

from launch.enabling import REPEAT_NS, Asked, DriverFacts, next_request
from runtime.modes.causes import Cause, bit
from runtime.modes.machine import Mode
from runtime.rows import ArmActivity, DriverState, RequestKind, RequestStatus


def facts(state=DriverState.OK, enabled=0, request_id=0, status=RequestStatus.NONE):
    return DriverFacts(state, ArmActivity.IDLE, enabled, request_id, status)


REFLEX, DEAD = bit(Cause.ARM_REFLEX), bit(Cause.ARM_LINK_DEAD)
TABLE = [
    (Mode.DISARMED, 0, facts(), None),
    (Mode.DISARMED, 0, facts(enabled=3), RequestKind.DISABLE),
    (Mode.ARMED, 0, facts(), RequestKind.ENABLE),
    (Mode.ARMED, 0, facts(enabled=5), None),
    (Mode.ARMED, 0, facts(DriverState.REFLEX), None),
    (Mode.APPROACH, 0, facts(enabled=5), None),
    (Mode.RUNNING, 0, facts(enabled=5), None),
    (Mode.RUNNING, 0, facts(), None),  # rt finds out by itself that the driver left; nothing re-enables under way
    (Mode.HOLD, 0, facts(), None),
    (Mode.STOPPING, REFLEX, facts(DriverState.REFLEX, enabled=5), None),
    (Mode.FAULT, REFLEX, facts(DriverState.REFLEX), None),  # nothing recovers without an acknowledgement
    (Mode.FAULT, REFLEX, facts(DriverState.REFLEX, enabled=5), RequestKind.DISABLE),
    (Mode.RECOVERING, REFLEX, facts(DriverState.REFLEX), RequestKind.RECOVER),
    (Mode.RECOVERING, REFLEX, facts(), None),
    (Mode.RECOVERING, DEAD, facts(DriverState.LINK_DEAD), RequestKind.RECONNECT),
    (Mode.RECOVERING, DEAD | REFLEX, facts(DriverState.LINK_DEAD), RequestKind.RECONNECT),
    (Mode.RECOVERING, bit(Cause.ARM_USER_STOP), facts(DriverState.USER_STOP), None),  # a hand must release it
    (Mode.RECOVERING, bit(Cause.GATE_TRIP), facts(), None),
]


@pytest.mark.parametrize(("mode", "latched", "driver", "wanted"), TABLE)
def test_the_request_follows_from_mode_and_driver(mode, latched, driver, wanted):
    assert next_request(0, mode, 7, latched, driver, Asked()) is wanted


def test_the_same_is_not_asked_again_while_it_is_under_way():
    asked = Asked(RequestKind.ENABLE, 7, 4, 1000)
    for driver in (facts(), facts(request_id=3), facts(request_id=4, status=RequestStatus.RUNNING)):
        assert next_request(1000 + 10 * REPEAT_NS, Mode.ARMED, 7, 0, driver, asked) is None


def test_an_answered_request_without_effect_is_asked_again_only_later():
    asked, refused = Asked(RequestKind.ENABLE, 7, 4, 1000), facts(request_id=4, status=RequestStatus.REFUSED)
    assert next_request(1000 + REPEAT_NS - 1, Mode.ARMED, 7, 0, refused, asked) is None
    assert next_request(1000 + REPEAT_NS, Mode.ARMED, 7, 0, refused, asked) is RequestKind.ENABLE


def test_a_new_generation_is_a_new_request():
    asked = Asked(RequestKind.ENABLE, 6, 4, 1000)
    assert next_request(1001, Mode.ARMED, 7, 0, facts(), asked) is RequestKind.ENABLE
