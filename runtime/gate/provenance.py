"""Check 3: is the candidate new, of now, and from the one who holds the lease?"""

from typing import NamedTuple

from runtime.gate.finding import Finding
from runtime.gate.reasons import Reason
from runtime.gate.types import Candidate

DUE_PERIODS = 2  # how many periods ahead of its tick a command may come


class Origin(NamedTuple):
    """Where the last candidate came from."""

    generation: int
    source: int
    session: int
    sequence: int


def origin_of(candidate: Candidate) -> Origin:
    return Origin(candidate.generation, candidate.source, candidate.session, candidate.sequence)


def check_provenance(
    candidate: Candidate, now_ns: int, last: Origin | None, max_age_ns: int, period_ns: int
) -> Finding | None:
    """`last` is the origin of the last candidate since the reset. A dead candidate runs the stored stop."""
    if last is not None:
        if candidate.generation < last.generation:
            return Finding(Reason.GENERATION, candidate.generation, last.generation)
        if candidate.generation == last.generation:
            if (candidate.source, candidate.session) != (last.source, last.session):
                return Finding(Reason.SESSION, candidate.generation, last.session)
            if candidate.sequence <= last.sequence:
                return Finding(Reason.SEQUENCE, candidate.sequence, last.sequence)
    age_ns = now_ns - candidate.produced_ns
    if age_ns < 0:
        return Finding(Reason.FROM_FUTURE, -age_ns / 1e6, 0.0)
    if age_ns > max_age_ns:
        return Finding(Reason.TOO_OLD, age_ns / 1e6, max_age_ns / 1e6)
    ahead_ns = candidate.due_ns - now_ns
    if ahead_ns > DUE_PERIODS * period_ns:
        return Finding(Reason.NOT_DUE, ahead_ns / 1e6, DUE_PERIODS * period_ns / 1e6)
    if ahead_ns < -max_age_ns:
        return Finding(Reason.NOT_DUE, ahead_ns / 1e6, -max_age_ns / 1e6)
    return None
