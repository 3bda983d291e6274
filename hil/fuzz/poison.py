"""Sources that move well and, now and then, hand the gate something that is wrong: one table row each.

Each poison says by `must` the mildest verdict that it allows.
"""

from collections.abc import Callable, Iterator

import numpy as np

from hil.fuzz.history import PASS, STOP, TRIP
from hil.fuzz.situation import MS, Ask, Situation
from hil.fuzz.sources import Source, cruise
from runtime.rows import DriverState, RobotMode

Poison = Callable[[Situation, Ask], None]
SECOND = 1000 * MS


def with_poison(poison: Poison) -> Source:
    """A cruise in which ticks, single ones or spans, are poisoned."""

    def source(s: Situation) -> Iterator[Ask]:
        rate = float(s.rng.choice([0.01, 0.05, 0.5]))
        span = int(s.rng.choice([1, 1, 2, 5, 30]))
        left = 0
        for ask in cruise(s):
            if left == 0 and s.rng.random() < rate:
                left = span
            if left:
                left -= 1
                poison(s, ask)
            yield ask

    return source


def not_finite(s: Situation, ask: Ask) -> None:
    values = _some_numbers(s, ask)
    values[s.rng.integers(len(values))] = float(s.rng.choice([np.nan, np.inf, -np.inf]))
    ask.must = TRIP


def extreme(s: Situation, ask: Ask) -> None:
    """Finite, but at the ends of what a double holds."""
    values = _some_numbers(s, ask)
    value = float(s.rng.choice([5e-324, -5e-324, 2.2e-308, 1.7e308, -1.7e308, 1e154, -1e20, 1e9, -0.0]))
    for k in s.rng.choice(len(values), size=s.rng.integers(1, len(values) + 1), replace=False):
        values[k] = value
    assert ask.candidate is not None
    ask.must = s.must_for(ask.candidate.q or [])


def malformed(s: Situation, ask: Ask) -> None:
    """Too few, too many, none, not numbers."""
    assert ask.candidate is not None
    good = list(ask.candidate.q or [])
    wrong: list[object] = [good[:6], [*good, 0.0], [], None, [*good[:6], None], [*good[:6], "1.0"], [*good[:6], [0.0]]]
    ask.candidate.q = wrong[s.rng.integers(len(wrong))]  # type: ignore[assignment] # a wrong type is the point
    ask.must = TRIP


def malformed_pose(s: Situation, ask: Ask) -> None:
    """Poses that are none: scaled, sheared, mirrored, not finite, of other shapes."""
    T = s.tool.pose(s.q)
    kind = s.rng.integers(6)
    if kind == 0:
        T[:3, :3] *= 1.0 + s.rng.choice([0.01, -0.01, 1.0])
    elif kind == 1:
        T[:3, 0] = -T[:3, 0]
    elif kind == 2:
        T[3] = s.rng.choice([0.1, 1.0, np.nan], size=4)
    elif kind == 3:
        T[s.rng.integers(3), s.rng.integers(4)] = s.rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 4:
        T[:3, :3] = 0.0
    ask.candidate = s.pose_candidate(T)
    if kind == 5:
        assert ask.candidate.T_base_ee is not None
        ask.candidate.T_base_ee = ask.candidate.T_base_ee[: int(s.rng.integers(0, 16))]
    ask.must = TRIP


def identity(s: Situation, ask: Ask) -> None:
    """Made for another robot, frame, or by another process."""
    assert ask.candidate is not None
    kind = s.rng.integers(3)
    if kind == 0:
        ask.candidate.joint_order += int(s.rng.choice([-1, 1, 12345]))
        ask.must = TRIP
    elif kind == 1:
        ask.candidate.frame += int(s.rng.choice([-1, 1, 12345]))
        ask.must = TRIP
    else:
        ask.candidate.session += 1
        if s.taken is not None and s.taken.generation == ask.candidate.generation:
            ask.must = TRIP if s.taken.session != ask.candidate.session else PASS


def stamps(s: Situation, ask: Ask) -> None:
    """Stale, from the future, for another tick; at the limit and a nanosecond to either side."""
    assert ask.candidate is not None
    age = round(s.bounds.profile.max_command_age_ms * MS)
    kind = s.rng.integers(3)
    if kind == 0:
        over = int(s.rng.choice([-1, 0, 1, MS, SECOND]))
        ask.candidate.produced_ns = s.now_ns - age - over
        ask.must = STOP if over > 0 else PASS
    elif kind == 1:
        ahead = int(s.rng.choice([0, 1, MS, SECOND, 3600 * SECOND]))
        ask.candidate.produced_ns = s.now_ns + ahead
        ask.must = STOP if ahead > 0 else PASS
    else:
        late = int(s.rng.choice([-3600 * SECOND, -SECOND, 0, SECOND, 3600 * SECOND]))
        ask.candidate.due_ns = s.now_ns + late
        ask.must = STOP if late else PASS


def order(s: Situation, ask: Ask) -> None:
    """Duplicated, reordered, of a dead generation."""
    assert ask.candidate is not None
    if s.taken is None:
        return
    if s.rng.random() < 0.5:
        ask.candidate.generation = s.taken.generation
        ask.candidate.sequence = s.taken.sequence - int(s.rng.integers(0, 20))
    else:
        ask.candidate.generation = s.taken.generation - int(s.rng.integers(1, 3))
    ask.must = STOP


def missing(s: Situation, ask: Ask) -> None:
    ask.candidate, ask.must = None, PASS


def disarmed(s: Situation, ask: Ask) -> None:
    if s.rng.random() < 0.5:
        ask.armed, ask.must = False, TRIP
    else:
        ask.deadman_ok, ask.must = False, STOP


def modes(s: Situation, ask: Ask) -> None:
    """The mode changes in mid-sequence: a new generation, with or without its first command."""
    s.generation += 1
    assert ask.candidate is not None
    if s.rng.random() < 0.5:
        ask.candidate.generation = s.generation
    elif s.rng.random() < 0.5:
        ask.candidate.generation, ask.candidate.sequence = s.generation, 1
        s.sequence = 1
    if s.rng.random() < 0.2:
        ask.abort, ask.must = True, STOP


def facts(s: Situation, ask: Ask) -> None:
    """No state, an old one, one of NaN, a robot in reflex."""
    assert ask.facts is not None
    kind = s.rng.integers(7)
    ask.must = STOP
    if kind == 0:
        ask.facts = None
    elif kind == 1:
        ask.facts.stamp_ns = s.now_ns - int(s.rng.choice([SECOND, 3600 * SECOND]))
    elif kind == 2:
        values = list(ask.facts.q)
        values[s.rng.integers(7)] = float(s.rng.choice([np.nan, np.inf, -np.inf]))
        ask.facts.q = values
    elif kind == 3:
        values = list(ask.facts.wrench_base)
        values[s.rng.integers(6)] = float(s.rng.choice([np.nan, np.inf, -np.inf]))
        ask.facts.wrench_base = values
    elif kind == 4:
        states = [one for one in DriverState if one != DriverState.OK]
        ask.facts.driver_state, ask.must = int(s.rng.choice(states)), TRIP
    elif kind == 5:
        robot_modes = [RobotMode.OTHER, RobotMode.GUIDING, RobotMode.REFLEX, RobotMode.USER_STOPPED]
        ask.facts.robot_mode, ask.must = int(s.rng.choice(robot_modes)), TRIP
    else:
        # A state "from the future" would stay fresh for ever after its writer died.
        ask.facts.stamp_ns = s.now_ns + int(s.rng.choice([SECOND, 3600 * SECOND]))


def touch(s: Situation, ask: Ask) -> None:
    """The arm is elsewhere, or pushed: at the limits and beside them."""
    assert ask.facts is not None
    profile = s.bounds.profile
    edge = float(s.rng.choice([-0.01, 0.01, 0.5, 1e6]))
    kind = s.rng.integers(3)
    if kind == 0:
        away = np.zeros(7)
        away[s.rng.integers(7)] = profile.tracking_error_rad * (1.0 + edge) * s.rng.choice([-1.0, 1.0])
        ask.facts.q = (s.q + away).tolist()
    else:
        push = s.rng.standard_normal(3)
        limit = profile.external_force_n if kind == 1 else profile.external_torque_nm
        wrench = np.zeros(6)
        wrench[slice(0, 3) if kind == 1 else slice(3, 6)] = limit * (1.0 + edge) * push / np.linalg.norm(push)
        ask.facts.wrench_base = wrench.tolist()
    ask.must = STOP if edge > 0 else PASS


def guarded(s: Situation, ask: Ask) -> None:
    assert ask.candidate is not None
    ask.candidate.guarded = True


def speeds(s: Situation, ask: Ask) -> None:
    ask.speed = float(s.rng.choice([0.0, 0.05, 0.1, 0.3, 0.5, 1.0, 1.5]))


def aborts(s: Situation, ask: Ask) -> None:
    """Another arm of the group stops in this tick."""
    ask.abort, ask.must = True, STOP


def late(s: Situation, ask: Ask) -> None:
    s.clock = "late"


def bursts(s: Situation, ask: Ask) -> None:
    s.clock = "burst"


def all_wrong(s: Situation, ask: Ask) -> None:
    """Any other poison."""
    name = s.rng.choice([one for one in POISONS if one not in ("all_wrong", "missing")])
    POISONS[name][0](s, ask)


def _some_numbers(s: Situation, ask: Ask) -> list[float]:
    """The positions or the velocities of a candidate, to be spoilt in place."""
    assert ask.candidate is not None
    if ask.candidate.dq is not None and s.rng.random() < 0.5:
        ask.candidate.dq = values = list(ask.candidate.dq)
        return values
    assert ask.candidate.q is not None
    ask.candidate.q = values = list(ask.candidate.q)
    return values


# name -> (poison, weight)
POISONS: dict[str, tuple[Poison, float]] = {
    "not_finite": (not_finite, 1.0),
    "extreme": (extreme, 1.0),
    "malformed": (malformed, 0.5),
    "malformed_pose": (malformed_pose, 0.5),
    "identity": (identity, 0.5),
    "stamps": (stamps, 1.0),
    "order": (order, 1.0),
    "missing": (missing, 2.0),
    "disarmed": (disarmed, 1.0),
    "modes": (modes, 1.0),
    "facts": (facts, 1.0),
    "touch": (touch, 1.0),
    "guarded": (guarded, 0.3),
    "speeds": (speeds, 1.0),
    "aborts": (aborts, 1.0),
    "late": (late, 0.5),
    "bursts": (bursts, 0.5),
    "all_wrong": (all_wrong, 1.0),
}
