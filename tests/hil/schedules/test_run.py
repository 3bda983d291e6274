"""A short schedule on real processes leaves a history that breaks nothing."""

from hil.schedules.checker import check
from hil.schedules.run import run_schedule
from hil.schedules.schedule import Episode, Schedule


def test_a_fault_and_a_kill_under_way_break_no_invariant():
    episodes = (Episode("swing", 0.8, "fault", "joint_reflex"), Episode("jog", 0.6, "kill rt"))
    history, limits = run_schedule(Schedule(0, episodes, "kill supervisor"))
    assert [str(one) for one in check(history, limits)] == []
    assert abs(history.rows["dq_d"]).max() > 0.1, "nothing ever moved"
    assert len(history.acts) == 8
