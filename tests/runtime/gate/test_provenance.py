import pytest

from runtime.gate.provenance import Origin, check_provenance, origin_of
from runtime.gate.reasons import Reason

NOW_NS, PERIOD_NS, AGE_NS = 10**12, 5_000_000, 50_000_000
LAST = Origin(3, 2, 7, 100)


def check(candidate, last=LAST):
    return check_provenance(candidate, NOW_NS, last, AGE_NS, PERIOD_NS)


def test_origin_is_read_off_the_candidate(candidate):
    assert origin_of(candidate(sequence=100)) == LAST


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({}, None),
        ({"sequence": 101}, None),
        ({"sequence": 100}, (Reason.SEQUENCE, 100, 100, 0)),
        ({"sequence": 99}, (Reason.SEQUENCE, 99, 100, 0)),
        ({"generation": 2}, (Reason.GENERATION, 2, 3, 0)),
        ({"generation": 4, "sequence": 1, "source": 1, "session": 1}, None),
        ({"source": 3}, (Reason.SESSION, 3, 7, 0)),
        ({"session": 8}, (Reason.SESSION, 3, 7, 0)),
        ({"produced_ns": NOW_NS - AGE_NS}, None),
        ({"produced_ns": NOW_NS - AGE_NS - 1}, (Reason.TOO_OLD, 50.000001, 50.0, 0)),
        ({"produced_ns": NOW_NS + 1}, (Reason.FROM_FUTURE, 1e-6, 0.0, 0)),
        ({"due_ns": NOW_NS + 2 * PERIOD_NS}, None),
        ({"due_ns": NOW_NS + 2 * PERIOD_NS + 1}, (Reason.NOT_DUE, 10.000001, 10.0, 0)),
        ({"due_ns": NOW_NS - AGE_NS}, None),
        ({"due_ns": NOW_NS - AGE_NS - 1}, (Reason.NOT_DUE, -50.000001, -50.0, 0)),
    ],
)
def test_at_every_limit_and_one_step_beyond(candidate, changes, finding):
    assert check(candidate(**changes)) == finding


def test_the_first_candidate_has_nothing_before_it(candidate):
    assert check(candidate(sequence=0, generation=0), None) is None
    assert check(candidate(produced_ns=NOW_NS + 1), None).reason == Reason.FROM_FUTURE
