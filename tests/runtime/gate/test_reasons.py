import pytest

from runtime.gate.reasons import REASONS, Reason, describe
from runtime.gate.verdict import Verdict


def test_every_reason_has_a_row():
    assert set(REASONS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_in_a_sentence_with_a_remedy(reason):
    text = describe(reason, 1.5, 2.5, 3)
    assert "{" not in text
    assert REASONS[reason].verdict is Verdict.PASS or REASONS[reason].remedy in text
    assert bool(REASONS[reason].remedy) == (REASONS[reason].verdict is not Verdict.PASS)


def test_a_sentence_names_joint_value_and_limit():
    text = describe(Reason.VELOCITY, 1.7123, 1.31, 4)
    assert text.startswith("joint 4 asks for 1.712 rad/s, the limit here is 1.310 rad/s: ")


def test_a_reason_without_remedy_is_the_bare_sentence():
    assert describe(Reason.NONE, 0.0, 0.0, 0) == "nothing is wrong"


@pytest.mark.parametrize(
    "reason", [Reason.NOT_FINITE, Reason.NOT_ARMED, Reason.SESSION, Reason.ALWAYS_SHAPED, Reason.RATE, Reason.WINDOW]
)
def test_what_is_a_bug_trips(reason):
    assert REASONS[reason].verdict is Verdict.TRIP
