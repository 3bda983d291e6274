import franky
import pytest

from drivers.franka.connection import connect
from drivers.franka.errors import NoConnectionError, UnsupportedServerError, is_planner_error
from drivers.franka.settings import Settings
from runtime.cell import Collision, Load

SETTINGS = Settings(Collision(), Load())


@pytest.mark.parametrize(("version", "remedy"), [(9, "libfranka 0.17.0"), (5, "Panda"), (42, "update the robot")])
def test_another_server_version_is_refused_with_the_remedy(host, other_version, version, remedy):
    other_version(host, version)
    with pytest.raises(UnsupportedServerError, match=f"server version {version};.*speaks 10 only.*{remedy}"):
        connect(host, host, SETTINGS, enforce_realtime=False, wall_ns=0)


def test_nobody_there_is_refused_with_what_to_check(host):
    with pytest.raises(NoConnectionError, match="check cable and address"):
        connect(host, host, SETTINGS, enforce_realtime=False, wall_ns=0)


@pytest.mark.parametrize(
    ("error", "planner"),
    [
        (RuntimeError("Net Exception"), False),
        (RuntimeError("I/O error"), False),
        (franky.NetworkException("libfranka: UDP receive: Timeout"), False),
        (franky.ProtocolException("libfranka: protocol"), False),
        (RuntimeError("Motion planner failed with error code -110"), True),
        (RuntimeError("Waypoint velocity 9 exceeds maximum velocity 2."), True),
        (franky.ControlException("libfranka: Move command aborted"), True),
        (franky.CommandException("libfranka: rejected"), True),
        (franky.InvalidMotionTypeException("type"), True),
    ],
)
def test_a_dead_link_and_a_planner_error_are_told_apart(error, planner):
    assert is_planner_error(error) is planner
