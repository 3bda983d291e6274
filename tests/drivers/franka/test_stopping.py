import pytest

from drivers.franka.stopping import BOUND_NS, CUT_NS, HARD_NS, Rung, Stopping, rung_at
from drivers.franka.view import STILL_STATES, RobotView
from runtime.rows import RequestStatus, RobotMode


@pytest.mark.parametrize(
    ("elapsed_ns", "rung"),
    [
        (0, Rung.SMOOTH),
        (HARD_NS - 1, Rung.SMOOTH),
        (HARD_NS, Rung.HARD),
        (CUT_NS - 1, Rung.HARD),
        (CUT_NS, Rung.CUT),
        (BOUND_NS, Rung.CUT),
    ],
)
def test_the_ladder_climbs_at_its_times(elapsed_ns, rung):
    assert rung_at(elapsed_ns) is rung


class NoLink:
    """A link that has no robot."""

    connected = False


def test_without_a_robot_a_stop_is_never_called_verified():
    view = RobotView(mode=RobotMode.IDLE, still_states=10 * STILL_STATES)
    stopping = Stopping(NoLink(), view, "asked", 4, now_ns=0)
    assert all(stopping.step(view, now) is None for now in range(0, BOUND_NS, 100_000_000))
    outcome = stopping.step(view, BOUND_NS)
    assert outcome.status is RequestStatus.FAILED
    assert "emergency stop" in outcome.text
