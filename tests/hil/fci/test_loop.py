"""Who may go on when: the loop over several stations, and what each profile waits for."""

import select
import threading

import franky
import numpy as np
import pytest

from hil.cell_stations import desk_tool
from hil.fci.arm_server import ANSWER_PATIENCE_NS, OPENING_WAITS_NS, ArmServer
from hil.fci.errors import ErrorFlag
from hil.fci.loop import WorldLoop
from hil.fci.profile import Profile
from hil.fci.protocol import ROBOT_COMMAND, Generator, MoveRequest, RobotMode
from hil.plant import World
from hil.scenes.fr3 import urdf
from runtime.cell import Cell, load_cell
from runtime.clock import ManualClock, MonotonicClock

WIDE = (10.0, 3.12, 6.28)


class Plain:
    """A world that counts its steps."""

    time_ns = 0

    def step(self):
        self.time_ns += 1_000_000


class Station:
    """A station that is ready as told and stops the loop after some steps."""

    in_real_time = True

    def __init__(self, stop_after=50):
        self._epoll = select.epoll()
        self.descriptor = self._epoll.fileno()
        self.stop_after, self.calls, self.loop = stop_after, [], None
        self.held, self.refusals = False, 0

    def poll(self):
        if self.held:
            self.refusals += 1
            if self.refusals == 3:
                self.held = False

    def ready(self):
        return not self.held

    def before_step(self):
        self.calls.append("before")

    def after_step(self):
        self.calls.append("after")
        if len(self.calls) >= 2 * self.stop_after:
            self.loop.stop()


def run(world, *stations, clock=None, each_tick=None):
    loop = WorldLoop(world, stations, clock or MonotonicClock(), each_tick)
    for station in stations:
        station.loop = loop
    try:
        loop.run()
    finally:
        loop.close()
    return loop


def test_every_station_has_its_turn_around_each_step():
    world, one, two = Plain(), Station(), Station()
    ticks = []
    run(world, one, two, each_tick=ticks.append)
    assert one.calls == two.calls == ["before", "after"] * 50
    assert ticks == [1_000_000 * number for number in range(1, 51)]


def test_one_station_that_waits_holds_the_world_back():
    world, one, two = Plain(), Station(), Station()
    two.held = True
    run(world, one, two)
    assert two.refusals == 3
    assert world.time_ns == 50_000_000


def test_real_time_is_never_overtaken():
    world, station, clock = Plain(), Station(40), MonotonicClock()
    before = clock.now_ns()
    run(world, station)
    assert clock.now_ns() - before >= 39_000_000


def test_missed_slots_are_not_caught_up():
    clock = MonotonicClock()
    starts = []

    class Slow(Station):
        def before_step(self):
            super().before_step()
            starts.append(clock.now_ns())
            if len(starts) == 5:
                while clock.now_ns() - starts[-1] < 20_000_000:
                    pass

    loop = run(Plain(), Slow(20))
    assert loop.late_ticks >= 1
    # After the 20 ms the grid starts anew: 15 more steps take 14 ms at least.
    assert starts[-1] - starts[5] >= 13_000_000


# --- what an arm waits for -----------------------------------------------------------------------------------------


class Answering:
    """An arm turned by hand, with a client that has connected and started a motion by the wire."""

    def __init__(self, run_arm, profile):
        self.clock = ManualClock()
        self.arm = run_arm(profile, clock=self.clock, turning=False)
        self.server = self.arm.server
        self.server.link.open_udp(9)  # states go nowhere; the server only has to have somewhere to send them
        self.server.robot.start_move(1, MoveRequest(0, Generator.JOINT_VELOCITY, WIDE, WIDE, False, (0.0,) * 7))
        self.server.move_started()

    def answer(self):
        command = np.zeros(1, ROBOT_COMMAND)[0]
        command["message_id"] = self.server.robot_time_ms
        self.server.accept_command(command)

    def turn(self):
        self.server.before_step()
        self.arm.world.step()
        self.server.after_step()


@pytest.mark.parametrize("profile", [Profile.LOCKSTEP, Profile.PACED])
def test_world_waits_for_the_answer_to_the_last_state(run_arm, profile):
    client = Answering(run_arm, profile)
    client.turn()
    client.answer()
    client.turn()
    assert not client.server.ready()
    client.clock.advance(ANSWER_PATIENCE_NS)
    assert not client.server.ready()
    client.answer()
    assert client.server.ready()


def test_strict_world_waits_for_nobody(run_arm):
    client = Answering(run_arm, Profile.STRICT)
    client.turn()
    client.answer()
    for _ in range(21):  # the answer, then twenty misses
        client.turn()
        assert client.server.ready()
    assert client.server.robot.mode is RobotMode.REFLEX


def test_answer_to_an_older_state_is_lost(run_arm):
    client = Answering(run_arm, Profile.STRICT)
    client.turn()
    command = np.zeros(1, ROBOT_COMMAND)[0]
    command["message_id"] = client.server.robot_time_ms - 1
    client.server.accept_command(command)
    client.turn()
    assert client.server.counts.commands == 0
    assert client.server.counts.late_commands == 1


@pytest.mark.parametrize("profile", [Profile.LOCKSTEP, Profile.PACED])
def test_client_silent_beyond_patience_loses_the_motion_not_the_world(run_arm, profile):
    client = Answering(run_arm, profile)
    client.turn()
    client.answer()
    client.turn()
    client.clock.advance(ANSWER_PATIENCE_NS + 1)
    assert client.server.ready()
    client.turn()
    assert client.server.robot.errors == {ErrorFlag.COMMUNICATION_CONSTRAINTS_VIOLATION}
    assert client.server.ready()


@pytest.mark.parametrize("profile", [Profile.LOCKSTEP, Profile.PACED])
def test_withheld_state_is_not_waited_for(run_arm, profile):
    client = Answering(run_arm, profile)
    client.turn()
    client.answer()
    client.server.silence(5)
    client.turn()
    assert client.server.ready()
    client.turn()
    assert client.server.counts.missed == 1


def test_lockstep_gives_a_new_motions_client_growing_time_for_its_first_answer(run_arm):
    client = Answering(run_arm, Profile.LOCKSTEP)
    for wait_ns in (*OPENING_WAITS_NS, OPENING_WAITS_NS[-1]):
        client.turn()
        client.clock.advance(wait_ns)
        assert not client.server.ready()
        client.clock.advance(1)
        assert client.server.ready()
    assert client.server.counts.missed == 0


def test_lockstep_runs_on_at_once_with_an_answer_and_in_real_time_without(run_arm):
    client = Answering(run_arm, Profile.LOCKSTEP)
    client.turn()
    assert client.server.in_real_time
    client.answer()
    assert not client.server.in_real_time


def test_paced_world_stays_in_real_time_with_an_answer(run_arm):
    client = Answering(run_arm, Profile.PACED)
    client.turn()
    client.answer()
    assert client.server.in_real_time


def test_paced_motion_through_the_real_client_takes_its_real_time_and_misses_nothing(run_arm):
    arm = run_arm(Profile.PACED)
    robot, clock = arm.connect(), MonotonicClock()
    before, ticks = clock.now_ns(), arm.server.robot_time_ms
    robot.move(franky.JointVelocityMotion([0.1, 0, 0, 0, 0, 0, 0], franky.Duration(200)))
    assert clock.now_ns() - before >= 1_000_000 * (arm.server.robot_time_ms - ticks - 2)
    assert arm.server.counts.missed == 0
    assert arm.robot.mode is RobotMode.IDLE


def test_two_arms_share_one_world_and_one_loop(host):
    cell = load_cell("emulated")
    data = cell.model_dump(by_alias=True)
    data["arms"]["other"] = data["arms"]["main"] | {"T_base_mount": {"xyz_m": (0.0, 1.5, 0.0)}}
    data["arms"]["main"]["host"], data["arms"]["other"]["host"] = host, host[: host.rindex(".")] + ".251"
    cell = Cell.model_validate(data)
    world, clock, log = World(cell), MonotonicClock(), []
    servers = [
        ArmServer(
            name, arm.host, world.arms[name], Profile.LOCKSTEP,
            urdf=urdf(), tool=desk_tool(arm, with_hand=name == "main"), clock=clock, report=log.append,
        )
        for name, arm in cell.arms.items()
    ]  # fmt: skip
    loop = WorldLoop(world, servers, clock)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    try:
        one, two = (
            franky.Robot(server.host, relative_dynamics_factor=0.3, realtime_config=franky.RealtimeConfig.Ignore)
            for server in servers
        )
        start = np.array(one.state.q)
        one.move(franky.JointMotion(start + 0.1), asynchronous=True)
        two.move(franky.JointMotion(start - 0.1), asynchronous=True)
        one.join_motion()
        two.join_motion()
        assert one.state.q == pytest.approx(start + 0.1, abs=1e-3)
        assert two.state.q == pytest.approx(start - 0.1, abs=1e-3)
        assert [server.counts.missed for server in servers] == [0, 0]
        assert servers[0].robot_time_ms == pytest.approx(servers[1].robot_time_ms, abs=1)
    finally:
        loop.stop()
        thread.join(10)
        loop.close()
        for server in servers:
            server.close()
    assert not thread.is_alive()
