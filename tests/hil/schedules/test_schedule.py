"""A seed is a schedule: the same one again, and every kind of failure within reach."""

from hil.schedules.schedule import ASKS, FAILURES, FAULTS, SESSION_ENDS, WITH_CAMERAS, schedule


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another():
    assert schedule(7, 20) == schedule(7, 20)
    assert schedule(7, 20).episodes != schedule(8, 20).episodes


def test_every_ask_failure_fault_and_end_is_drawn():
    schedules = [schedule(seed, 60, cameras=True) for seed in range(60)]
    episodes = [episode for one in schedules for episode in one.episodes]
    assert {episode.ask for episode in episodes} == set(ASKS)
    assert {episode.failure for episode in episodes} == {*FAILURES, *WITH_CAMERAS}
    assert {episode.argument for episode in episodes if episode.failure == "fault"} == set(FAULTS)
    assert {one.end for one in schedules} == set(SESSION_ENDS)


def test_without_cameras_none_fails():
    episodes = [episode for seed in range(20) for episode in schedule(seed, 30).episodes]
    assert not {episode.failure for episode in episodes} & set(WITH_CAMERAS)
