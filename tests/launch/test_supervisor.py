"""A session through its life: starts in order, stops from any terminal and at any stage, forgets no fault, ends cleanly."""

import pytest

from hil.stack import Stack, lean_cell
from runtime.modes.causes import Cause, bit
from runtime.modes.machine import Mode
from runtime.ring import RingReader
from runtime.rows import ARM_STATE

TICK_NS = 10_000_000  # of a process's birth in /proc


def test_a_motion_runs_to_its_end_and_the_arm_holds_there(session, swing, came_to_rest):
    for _ in range(3):  # a machine that stutters under its load may stop it on its way
        answer = swing(session).wait()
        if answer["ok"]:
            break
        session.ask("ack")
    assert answer["ok"], session.said()[-2000:]
    assert (session.mode, session.cause) == (Mode.HOLD, Cause.SOURCE_DONE)
    came_to_rest(session)


def test_a_stop_is_answered_only_when_the_arm_is_still_and_latches(session, swing, done):
    session.wait_mode(Mode.ARMED, Mode.HOLD)
    running = swing(session)
    answer = session.ask("stop")
    assert answer["ok"], answer
    assert abs(session.robot()["dq"]).max() < 2e-3, "answered while the robot still moves"
    assert session.mode is Mode.FAULT
    ended = running.wait()
    assert not ended["ok"]
    assert "ended by a stop" in ended["text"]
    refused = session.ask("home")
    assert not refused["ok"]
    assert "sinew ack" in refused["text"]
    before = session.robot()["q"].copy()
    session.pause(0.5)
    assert abs(session.robot()["q"] - before).max() < 1e-3
    assert session.ask("ack")["ok"]
    session.wait_mode(Mode.DISARMED)
    done(session, "home")


def test_a_reflex_is_recovered_by_an_acknowledgement_and_by_nothing_else(session, swing, done):
    session.wait_mode(Mode.ARMED, Mode.HOLD, Mode.DISARMED)
    running = swing(session)
    session.panel.fault("joint_reflex")
    assert not running.wait()["ok"]
    session.wait_mode(Mode.FAULT)
    assert session.latched & bit(Cause.ARM_REFLEX)
    session.pause(1.2)
    assert session.panel.status()["arms"]["main"]["mode"] == "reflex", "something recovered it by itself"
    answer = session.ask("ack")
    assert answer["ok"], answer
    assert session.panel.status()["arms"]["main"]["mode"] == "idle"
    done(session, "home")


def test_a_user_stop_is_acknowledged_only_after_it_was_released(session, swing, done):
    running = swing(session)
    session.panel.fault("user_stop")
    assert not running.wait()["ok"]
    session.wait_mode(Mode.FAULT)
    refused = session.ask("ack")
    assert not refused["ok"]
    assert "user stop" in refused["text"]
    session.panel.fault("user_stop_released")
    session.wait(lambda: session.panel.status()["arms"]["main"]["mode"] == "idle", "the robot is idle")
    session.wait(lambda: session.ask("ack")["ok"], "the acknowledgement is taken")
    done(session, "home")


def test_a_jog_moves_while_its_words_come_and_stops_without_them(session, swing, done):
    done(session, "hold")
    session.wait_mode(Mode.ARMED, Mode.HOLD)
    before = float(session.robot()["q"][5])
    words = []

    def words_go_on():
        words.append(session.ask("jog", arm="main", velocities=[0, 0, 0, 0, 0, 0.2, 0]))
        return abs(float(session.robot()["q"][5]) - before) > 0.03

    session.wait(words_go_on, "the jog moves joint 6")
    session.wait_mode(Mode.HOLD)  # nobody said stop: the words stopped coming
    session.wait_still()
    assert all(word["ok"] for word in words), words
    assert float(session.robot()["q"][5]) > before
    assert abs(session.robot()["q"][0]) < 0.01, "another joint moved"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"arm": "left", "velocities": [0] * 7}, "no arm 'left': its arms are main"),
        ({"velocities": [0] * 6}, "7 numbers"),
        ({"velocities": [0] * 6 + ["fast"]}, "must be numbers"),
        ({}, "7 numbers"),
    ],
)
def test_a_wrong_jog_is_refused_by_name(session, arguments, text):
    answer = session.ask("jog", **arguments)
    assert not answer["ok"]
    assert text in answer["text"]


def test_a_second_session_of_a_cell_is_refused_by_name(session):
    run = ("run", "--cell", str(session.cell_file), "--source", "hold")
    status, said = session.verb(*run, "--instance", session.instance)
    assert status == 1
    assert f"session '{session.instance}' runs already" in said
    assert session.mode is not None, "the first one goes on"


def test_a_session_of_another_name_cannot_take_the_robot(session):
    status, said = session.verb(
        "run", "--cell", str(session.cell_file), "--source", "hold", "--instance", f"{session.instance}-b"
    )
    assert status == 1
    assert "start failed" in said
    assert session.mode is not None, "the first one goes on"


def test_rt_killed_in_motion_stops_the_arm_and_starts_again_with_its_fault_latched(session, swing, came_to_rest, done):
    done(session, "home")
    swing(session)
    session.kill("runtime.rt")
    session.wait_still()
    session.wait_said("starting rt again (1 of 3)")
    session.wait_mode(Mode.FAULT)
    assert session.latched & bit(Cause.PROCESS_DEAD)
    assert (session.work_dir / "state" / f"{session.instance}.latch.json").exists()
    assert not session.ask("home")["ok"]
    assert session.ask("ack")["ok"]
    assert not (session.work_dir / "state" / f"{session.instance}.latch.json").exists()
    done(session, "home")


def test_an_arm_driver_killed_in_motion_stops_the_arm_and_starts_again(session, swing, came_to_rest, done):
    swing(session)
    session.kill("drivers.franka.arm_process")
    session.wait_still()
    session.wait_said("starting arm.main again (1 of 3)")
    session.wait_mode(Mode.FAULT)
    came_to_rest(session)
    session.wait(lambda: session.ask("ack")["ok"], "the acknowledgement recovers the robot")
    done(session, "home")


def test_the_emulated_cell_killed_ends_the_session_and_nothing_stays(session, swing):
    running = swing(session)
    session.kill("hil.cell")
    session.wait(lambda: not session.processes(), "every process has ended")
    assert session.wait_supervisor() == 1
    assert "ended by signal SIGKILL" in session.said()
    assert session.left_over() == []
    del running


def test_processes_start_in_stages_and_a_stop_before_the_arm_is_known_is_a_latch(done):
    with Stack(lean_cell(patient=True)) as stack:
        stack.wait(lambda: (stack.directory / "supervisor.sock").exists(), "the console listens")
        assert stack.robot_or_none() is None, "the cell is not even there"
        asked = stack.tell("stop")
        answer = asked.wait()
        assert answer["ok"], answer
        assert stack.robot_or_none() is not None, "answered before the arm could be seen"
        assert abs(stack.robot()["dq"]).max() < 2e-3
        stack.wait_up()
        stack.wait_mode(Mode.FAULT)
        assert stack.latched & bit(Cause.OPERATOR_STOP)
        assert "'hold' refused: a stop is latched" in stack.said()
        arm = RingReader(stack.instance, "arm.main.state", ARM_STATE)
        births = [stack.born(name) for name in ("hil.cell", "drivers.franka.arm_process", "runtime.rt")]
        assert births == sorted(births)
        assert next(arm.drain())["states_seen"] >= 0
        assert arm.lost == 0
        assert arm.meta.stamp_ns < births[2] + TICK_NS, "rt was started before the driver had said a word"
        stack.collect()
        assert stack.histories["main"].rows()["commands"].max() == 0
        assert stack.ask("ack")["ok"]
        done(stack, "hold")
    assert stack.left_over() == []
