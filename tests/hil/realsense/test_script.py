import pytest

from hil.realsense.script import FAULTS, CameraFaultError, Script, camera_fault, fault


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_the_table_can_be_made_with_its_defaults(name):
    made = fault(name)
    assert made.name == name
    for argument in FAULTS[name].arguments:
        assert getattr(made, argument.name) == argument.default


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("blind", {}, "no camera fault 'blind': the faults are drop, "),
        ("drop", {"frames": 0}, "frames is 0, allowed are 1 to 100000"),
        ("drop", {"frames": float("nan")}, "frames is nan"),
        ("drop", {"frames": "3"}, "frames is '3'"),
        ("drop", {"frames": True}, "frames is True"),
        ("late", {"by_ms": 5001}, "by_ms is 5001, allowed are 1 to 5000"),
        ("unplug", {"frames": 3}, r"'unplug' takes no \['frames'\]: it takes nothing"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_is_allowed(name, arguments, words):
    with pytest.raises(CameraFaultError, match=words):
        fault(name, arguments)


def test_a_seeded_script_is_the_same_every_time_and_differs_between_seeds():
    def plan(seed):
        script = Script.seeded(seed, frames=500, faults=20)
        return [(frame, one) for frame in range(500) for one in script.due(frame)]

    assert plan(1) == plan(1)
    assert len(plan(1)) == 20
    assert plan(1) != plan(2)


def test_a_fault_for_a_camera_that_does_not_run_is_refused():
    with pytest.raises(CameraFaultError, match="emulated camera 'front' of instance 'nobody-here' does not run"):
        camera_fault("nobody-here", "front", "drop")
