from math import inf, nan, nextafter

import pytest

from runtime.gate.reasons import Reason
from runtime.gate.touch import GUARD, check_touch


@pytest.mark.parametrize("j", range(7))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_tracking_error_at_its_limit(facts, limits, j, sign):
    zero = [0.0] * 7
    for off, ok in ((limits.tracking, True), (nextafter(limits.tracking, inf), False)):
        measured = [sign * off if k == j else 0.0 for k in range(7)]
        found = check_touch(facts(q=measured), zero, limits, False)
        assert found == (None if ok else (Reason.TRACKING, off, limits.tracking, j + 1))
    assert check_touch(facts(q=[nan] * 7), zero, limits, False).reason == Reason.TRACKING


def test_tracking_is_against_the_last_command(facts, limits):
    assert check_touch(facts(q=[1.0] * 7), [1.0] * 7, limits, False) is None


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("guarded", [False, True])
def test_force_and_torque_at_their_limits(facts, limits, home, axis, guarded):
    limit = limits.force if axis < 3 else limits.torque
    reason = Reason.FORCE if axis < 3 else Reason.TORQUE
    soft = GUARD * limit
    table = [(soft, None), (nextafter(soft, inf), (Reason.CONTACT, nextafter(soft, inf), soft, 0) if guarded else None),
             (limit, (Reason.CONTACT, limit, soft, 0) if guarded else None),
             (nextafter(limit, inf), (reason, nextafter(limit, inf), limit, 0))]  # fmt: skip
    for value, finding in table:
        wrench = [-value if k == axis else 0.0 for k in range(6)]
        assert check_touch(facts(wrench_base=wrench), home, limits, guarded) == finding
    assert (
        check_touch(facts(wrench_base=[nan if k == axis else 0.0 for k in range(6)]), home, limits, guarded) is not None
    )


def test_force_is_the_norm_of_its_axes(facts, limits, home):
    part = 0.6 * limits.force
    assert check_touch(facts(wrench_base=[part, part, 0.0, 0.0, 0.0, 0.0]), home, limits, False) is None
    assert check_touch(facts(wrench_base=[part, part, part, 0.0, 0.0, 0.0]), home, limits, False).reason == Reason.FORCE


def test_the_guard_is_half():
    assert GUARD == 0.5
