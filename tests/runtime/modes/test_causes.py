"""The table is complete, and the worst action wins."""

import pytest

from runtime.modes.causes import (
    BY_REQUEST,
    CAUSES,
    CLEARED_BY_OPERATOR,
    CLEARED_BY_RE_ARM,
    LATCHING,
    NO_TAKEOVER,
    RECOVERABLE,
    Action,
    Cause,
    Clear,
    bit,
    causes_in,
    describe,
    mask_of,
    worst,
)


def test_every_cause_has_one_row_with_text_and_remedy():
    assert set(CAUSES) == set(Cause) - {Cause.NONE}
    for cause, row in CAUSES.items():
        assert row.cause is cause
        assert 10 < len(row.text) < 120
        assert row.remedy
        assert describe(cause) == f"{row.text}: {row.remedy}"
    assert describe(Cause.NONE) == "nothing is wrong"


def test_numbers_are_those_of_recordings_already_made():
    assert [cause.value for cause in Cause] == list(range(len(Cause)))
    assert len(Cause) <= 64, "masks are 64 bits"


@pytest.mark.parametrize(
    ("mask", "holds"),
    [
        (BY_REQUEST, lambda row: row.by_request),
        (LATCHING, lambda row: row.clear in (Clear.OPERATOR, Clear.RE_ARM, Clear.RESTART)),
        (CLEARED_BY_OPERATOR, lambda row: row.clear is Clear.OPERATOR),
        (CLEARED_BY_RE_ARM, lambda row: row.clear is Clear.RE_ARM),
        (RECOVERABLE, lambda row: row.recovery is not None),
        (NO_TAKEOVER, lambda row: not row.takeover),
    ],
)
def test_masks_hold_the_causes_they_name(mask, holds):
    assert causes_in(mask) == [cause for cause, row in CAUSES.items() if holds(row)]


def test_a_mask_is_the_sum_of_its_causes():
    rows = [CAUSES[Cause.DEADMAN], CAUSES[Cause.CONTACT], CAUSES[Cause.DEADMAN]]
    assert mask_of(rows) == bit(Cause.DEADMAN) | bit(Cause.CONTACT)
    assert mask_of([]) == 0


def test_the_worst_action_wins_and_the_lowest_number_names_it():
    assert worst(0) == (Action.NONE, Cause.NONE)
    for cause, row in CAUSES.items():
        assert worst(bit(cause)) == (row.action, cause)
        for other, other_row in CAUSES.items():
            action, named = worst(bit(cause) | bit(other))
            assert action is max(row.action, other_row.action)
            wanted = [one for one in (cause, other) if CAUSES[one].action is action]
            assert named is min(wanted)


def test_what_stands_for_the_hardware_trips_and_says_so():
    """The user stop and a reflex show as what they are, and no row lets a machine clear them."""
    for cause, word in (
        (Cause.ARM_USER_STOP, "user stop"),
        (Cause.ARM_REFLEX, "reflex"),
        (Cause.ARM_LINK_DEAD, "connection"),
    ):
        row = CAUSES[cause]
        assert word in row.text
        assert (row.action, row.clear, row.takeover) == (Action.TRIP, Clear.OPERATOR, False)
    assert CAUSES[Cause.ARM_USER_STOP].recovery is None, "only a hand releases it"


def test_nothing_that_trips_clears_by_itself_once_the_arm_is_armed():
    for row in CAUSES.values():
        if row.action is Action.TRIP and row.cause is not Cause.NO_LIMITS:  # cannot arise while armed
            assert row.clear in (Clear.OPERATOR, Clear.RESTART), row.cause
