"""A plan crosses the border row by row, whole or not at all, and is followed on its path."""

import math

import numpy as np
import pytest

from runtime.rows_rt import RT_PLAN
from runtime.sources.hold import ZERO
from runtime.sources.plan import MAX_SAMPLES, SAMPLE_NS, Plan, PlanIntake, PlanSource

DT = 0.005


def wave(samples=101, step_s=0.01):
    """1 - cos: at rest at both ends, known derivative."""
    total = (samples - 1) * step_s
    q, dq = [], []
    for k in range(samples):
        t = k * step_s
        w = 2 * math.pi / total
        q.append((0.2 * (1 - math.cos(w * t)),) * 7)
        dq.append((0.2 * w * math.sin(w * t),) * 7 if 0 < k < samples - 1 else ZERO)
    return Plan(0, SAMPLE_NS, tuple(q), tuple(dq))


def rows_of(plan, plan_id=5):
    rows = np.zeros(len(plan.q), RT_PLAN)
    rows["plan"], rows["index"], rows["count"] = plan_id, range(len(plan.q)), len(plan.q)
    rows["arm"], rows["sample_ns"], rows["q"], rows["dq"] = plan.arm, plan.sample_ns, plan.q, plan.dq
    return rows


def take(rows):
    intake = PlanIntake()
    for row in rows:
        intake.take(row)
    return intake


def test_a_whole_plan_is_ready_and_the_same():
    intake = take(rows_of(wave()))
    assert (intake.ready_id, intake.bad_id) == (5, 0)
    assert intake.ready == wave()
    half = take(rows_of(wave())[:-1])
    assert (half.ready, half.ready_id, half.bad_id) == (None, 0, 0)


@pytest.mark.parametrize(
    ("at", "field", "value"),
    [
        (3, "index", 4),
        (3, "count", 102),
        (3, "q", np.nan),
        (3, "dq", np.inf),
        (0, "sample_ns", 999_999),
        (0, "sample_ns", 100_000_001),
        (0, "count", MAX_SAMPLES + 1),
    ],
)
def test_one_bad_row_spoils_its_plan_and_no_other(at, field, value):
    rows = rows_of(wave())
    if field == "count" and at == 0:
        rows["count"] = value
    else:
        rows[field][at] = value
    intake = take(rows)
    assert (intake.ready, intake.bad_id) == (None, 5)
    for row in rows_of(wave(51), 6):
        intake.take(row)
    assert (intake.ready_id, intake.bad_id) == (6, 5)


def test_a_row_of_another_plan_in_between_spoils_that_one():
    rows = rows_of(wave())
    rows["plan"][50:] = 9
    assert take(rows).bad_id == 9


def test_a_plan_of_one_sample_is_refused():
    rows = rows_of(wave())[:1]
    rows["count"] = 1
    assert take(rows).bad_id == 5


def test_following_hits_the_samples_and_the_curve_between():
    plan = wave()
    source = PlanSource(5, plan)
    source.begin(plan.q[0], ZERO)
    assert source.start_pose() == plan.q[0]
    q_before, dq_before = plan.q[0], ZERO
    ticks = 0
    while not source.done:
        target = source.advance(0, DT, 1.0)
        t = source._path.position
        expected = 0.2 * (1 - math.cos(2 * math.pi * min(t, 1.0)))
        assert target.q[0] == pytest.approx(expected, abs=1e-6)
        assert (target.q[0] - q_before[0]) / DT == pytest.approx(0.5 * (target.dq[0] + dq_before[0]), abs=5e-3)
        q_before, dq_before = target
        ticks += 1
    assert (target.q, target.dq) == (plan.q[-1], ZERO)
    assert source.braked
    assert source.progress == 1.0
    assert ticks == pytest.approx((1.0 + 0.26) / DT, abs=3)  # half of the 0.52 s ramp is lost at the start


def test_a_held_plan_goes_on_where_it_was():
    plan = wave()
    source = PlanSource(5, plan)
    source.begin(plan.q[0], ZERO)
    for _ in range(120):
        source.advance(0, DT, 1.0)
    while not source.braked:
        held = source.advance(0, DT, 0.0)
    assert source.start_pose() == pytest.approx(held.q, abs=1e-12)
    assert 0.1 < source.progress < 0.9
    source.begin(held.q, ZERO)
    assert source.advance(0, DT, 1.0).q[0] == pytest.approx(held.q[0], abs=1e-4)


def test_half_speed_is_half_speed():
    plan = wave(401)
    source = PlanSource(5, plan)
    source.begin(plan.q[0], ZERO)
    for _ in range(300):
        source.advance(0, DT, 0.5)
    before = source._path.position
    target = source.advance(0, DT, 0.5)
    assert source._path.position - before == pytest.approx(0.5 * DT)
    t = source._path.position
    w = 2 * math.pi / 4.0
    assert target.dq[0] == pytest.approx(0.5 * 0.2 * w * math.sin(w * t), abs=1e-6)
