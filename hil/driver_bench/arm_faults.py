"""Every fault of the emulated arm, with the driver's answer: the named state within its time, nothing invented, recovery.

A row's value is the time from the fault to the named state, in robot time where the robot still sends states, else in
ours. A wrong answer is a row without a value, and its note says what was wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drivers.franka.errors import FLAGS
from hil.driver_bench.reference import Reference
from hil.driver_bench.streaming import start_commander
from hil.remote import Arm
from hil.report import BenchRow
from hil.rig import Rig
from runtime.errors import SinewError
from runtime.rows import ArmActivity, CommandMode, DriverState, RequestKind, RequestStatus
from runtime.ticker import sleep_ns

REFLEX_MS = 50.0  # robot time: some states and a turn of the driver
DEAD_MS = 3000.0  # libfranka gives a silent robot 1 s, a socket that it has given up another second
MODE_MS = 200.0
_FOUND = (DriverState.OK, DriverState.REFLEX)
QUICK_FLAGS = ("joint_reflex", "power_limit_violation")
QUICK_CASES = ("latched_reflex", "user_stop", "tcp_dropped")
SWING = Reference(amplitude=0.07, frequency_hz=0.5, seconds=600.0)  # goes on until the fault ends it
RATE_HZ = 50
START_TRIES = 3


class WrongAnswerError(SinewError):
    """The driver did not answer a fault as it must; the text says how."""


def expect(condition: bool, otherwise: str) -> None:
    """Raises WrongAnswerError with `otherwise` unless the condition holds."""
    if not condition:
        raise WrongAnswerError(otherwise)


@dataclass
class Scene:
    """One arm that moves (or not) when the fault strikes, and what was seen of it."""

    rig: Rig
    name: str
    commander: str = ""

    @property
    def arm(self) -> Arm:
        return self.rig.arms[self.name]


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        fault, arguments: of the panel.
        state: what the driver must say.
        limit_ms: within which time.
        ours: measured on our clock, because the robot's own stands still.
        moving: whether a stream runs when the fault strikes.
        after: what must be true once the state is there, and how the arm is brought back to OK.
    """

    fault: str
    state: DriverState
    limit_ms: float
    after: Callable[[Scene, np.void], str]
    arguments: tuple[tuple[str, float], ...] = ()
    moving: bool = True
    ours: bool = False
    name: str = ""


# What brings an arm back, and what must not.


def recover(scene: Scene, _row: np.void) -> str:
    """A request clears it; before that nothing can be enabled, and nothing resumes by itself afterwards."""
    refuse_enable(scene)
    wait_stopped(scene)
    status = scene.arm.ask(RequestKind.RECOVER)
    expect(status is RequestStatus.DONE, f"RECOVER ended {status.name}: {last_words(scene)}")
    scene.arm.wait_state(DriverState.OK)
    nothing_resumes(scene)
    return "recovered on request"


def refuse_enable(scene: Scene) -> None:
    """While the fault lasts a re-arm is refused."""
    status = scene.arm.enable(CommandMode.JOINT_VELOCITY)
    expect(status is RequestStatus.REFUSED, f"ENABLE was {status.name} during the fault")


def wait_stopped(scene: Scene) -> None:
    """The driver's own stop, which every fault of a moving arm begins with, has been verified."""
    scene.arm.wait(lambda row: int(row["activity"]) != ArmActivity.STOPPING, "the stop is verified")


def nothing_resumes(scene: Scene) -> None:
    """OK again, and still: the old stream has no effect although its rows keep coming."""
    wait_stopped(scene)
    row = scene.arm.wait_state(DriverState.OK)
    activity = ArmActivity(int(row["activity"]))
    expect(activity is ArmActivity.IDLE, f"activity {activity.name} after the fault")
    expect(int(row["enabled_generation"]) == 0, "a generation is still enabled after the fault")


def user_stop(scene: Scene, _row: np.void) -> str:
    """No recovery while it is pressed; released, the arm is ready but does not move."""
    status = scene.arm.ask(RequestKind.RECOVER)
    expect(status is RequestStatus.REFUSED, f"RECOVER was {status.name} with the user stop pressed")
    scene.rig.panel.fault("user_stop_released", arm=scene.name)
    scene.arm.wait_state(DriverState.OK)
    nothing_resumes(scene)
    return "recovery refused while pressed; ready when released"


def by(ending: str) -> Callable[[Scene, np.void], str]:
    """A mode that another fault of the table ends."""

    def end(scene: Scene, _row: np.void) -> str:
        refuse_enable(scene)
        scene.rig.panel.fault(ending, arm=scene.name)
        scene.arm.wait_state(DriverState.OK)
        nothing_resumes(scene)
        return f"ready after {ending}"

    return end


def rebuilt(scene: Scene, row: np.void) -> str:
    """A new connection, made by itself; nothing resumes on it, and no row of the dead time shows anything new.

    An arm that was moving has stopped by its own reflex meanwhile: that is what the new connection shows, and it stays.
    """
    arm, connection = scene.arm, int(row["connection"])
    back = arm.wait(
        lambda row: int(row["connection"]) > connection and int(row["driver_state"]) in _FOUND, "a new connection"
    )
    seen = arm.history()["row"]
    dead = seen[(seen["driver_state"] == DriverState.LINK_DEAD) & (seen["connection"] == connection)]
    for name in ("robot_time_ns", "q", "dq", "wrench_base"):
        expect(len(dead) == 0 or bool((dead[name] == dead[name][0]).all()), f"'{name}' changed while the link was dead")
    found = DriverState(int(back["driver_state"]))
    if found is DriverState.REFLEX:
        recover(scene, back)
    nothing_resumes(scene)
    how = f"rebuilt as connection {int(back['connection'])}, found {found.name}"
    return f"{how}; {len(dead)} rows of the dead time show nothing new"


def latched(scene: Scene, row: np.void) -> str:
    """The mode counts, not the flags: still REFLEX after they read clear."""
    clear = scene.arm.wait(lambda row: int(row["errors"]) == 0, "the error flags read clear")
    expect(int(clear["driver_state"]) == DriverState.REFLEX, "the driver believed the cleared flags")
    return f"still REFLEX with clear flags; {recover(scene, row)}"


def last_words(scene: Scene) -> str:
    """The arm's newest event."""
    return (scene.arm.events() or [("", "no event")])[-1][1]


CASES = (
    Case("latched_reflex", DriverState.REFLEX, REFLEX_MS, latched),
    Case("user_stop", DriverState.USER_STOP, REFLEX_MS, user_stop),
    Case("brakes_locked", DriverState.NOT_READY, MODE_MS, by("brakes_unlocked")),
    Case("guiding", DriverState.NOT_READY, MODE_MS, by("guiding_ended"), moving=False),
    Case("silence", DriverState.LINK_DEAD, DEAD_MS, rebuilt, (("duration_ms", 1500),), ours=True),
    Case("tcp_dropped", DriverState.LINK_DEAD, DEAD_MS, rebuilt, ours=True),
    Case("silence", DriverState.LINK_DEAD, DEAD_MS, rebuilt, (("duration_ms", 1500),), False, True, "silence_idle"),
    Case("tcp_dropped", DriverState.LINK_DEAD, DEAD_MS, rebuilt, (), False, True, "tcp_dropped_idle"),
    # Answers to old states are late commands: some 20 in a row and the robot stops, as its own rule has it.
    Case("late_states", DriverState.REFLEX, MODE_MS, recover, (("delay_ms", 3), ("duration_ms", 1000))),
    Case("push", DriverState.REFLEX, MODE_MS, recover, (("force_x_n", 90.0), ("duration_ms", 150))),
)


def run(rig: Rig, *, quick: bool) -> list[BenchRow]:
    """One row per fault, on the first arm."""
    scene = Scene(rig, next(iter(rig.arms)))
    names = QUICK_FLAGS if quick else tuple(flag.name for flag in FLAGS)
    flags = [Case(name, DriverState.REFLEX, REFLEX_MS, recover, moving=quick) for name in names]
    cases = [case for case in CASES if not quick or case.fault in QUICK_CASES]
    return [_row(scene, case) for case in (*flags, *cases)] + field_rows(scene, FIELD[-1:] if quick else FIELD)


# What real arms were seen to do, where the answer is not a state.


def loses_states(scene: Scene) -> tuple[float, str]:
    """A twentieth of the states is lost: the stream goes on, and they are counted. Value: rows that were not OK."""
    start_moving(scene)
    arm, panel = scene.arm, scene.rig.panel
    arm.skip_history()
    panel.fault("lose_states", arm=scene.name, fraction=0.05, duration_ms=800)
    panel.wait_robot_time(panel.robot_time_s() + 1.0, 60.0)
    seen = arm.history()["row"]
    missed = int(seen["states_missed"][-1] - seen["states_missed"][0])
    expect(missed > 0, "no state was counted as missed")
    bad = (seen["driver_state"] != DriverState.OK) | (seen["activity"] != ArmActivity.STREAMING)
    arm.ask(RequestKind.DISABLE)
    return float(bad.sum()), f"the stream goes on; {missed} states counted as missed"


def reply_withheld(scene: Scene) -> tuple[float, str]:
    """The library's call never comes back: the stop is answered all the same, and the arm is at rest. Value: our time."""
    start_moving(scene)
    arm, panel = scene.arm, scene.rig.panel
    panel.fault("move_reply_withheld", arm=scene.name)
    asked_ns = scene.rig.now_ns()
    status = arm.ask(RequestKind.STOP)
    took_ms = (scene.rig.now_ns() - asked_ns) * 1e-6
    fastest = max(abs(speed) for speed in panel.status()["arms"][scene.name]["dq"])
    expect(fastest < 0.02, f"the robot itself still moves at {fastest:.3f} rad/s")
    panel.clear(scene.name)
    back = arm.wait(
        lambda row: int(row["driver_state"]) in _FOUND and int(row["activity"]) == ArmActivity.IDLE, "usable"
    )
    if int(back["driver_state"]) == DriverState.REFLEX:
        recover(scene, back)
    return (
        took_ms,
        f"STOP ended {status.name}, the robot is at rest, usable again as connection {int(back['connection'])}",
    )


def late_end(scene: Scene) -> tuple[float, str]:
    """The answer to Move comes 1.21 s late, the longest seen: no fault. Value: robot time of the stop."""
    start_moving(scene)
    panel = scene.rig.panel
    asked_s = panel.robot_time_s()  # before the fault: a motion may end by itself between the two
    panel.fault("end_of_motion_gap", arm=scene.name)
    status = scene.arm.ask(RequestKind.DISABLE)
    expect(status is RequestStatus.DONE, f"DISABLE ended {status.name}: {last_words(scene)}")
    expect(scene.arm.state is DriverState.OK, f"state {scene.arm.state}")
    took_ms = (panel.robot_time_s() - asked_s) * 1e3
    expect(took_ms >= 1210.0, f"DISABLE done after {took_ms:.0f} ms, before the robot could be")
    return took_ms, "DISABLE done, state OK"


def slow_recovery(scene: Scene) -> tuple[float, str]:
    """Recovery takes 2 s of the robot's time: RUNNING until then, and done. Value: robot time beyond those 2 s."""
    arm, panel = scene.arm, scene.rig.panel
    panel.fault("slow_recovery", arm=scene.name, delay_ms=2000)
    panel.fault("joint_reflex", arm=scene.name)
    arm.wait_state(DriverState.REFLEX)
    wait_stopped(scene)
    asked_s = panel.robot_time_s()
    status = arm.ask(RequestKind.RECOVER)
    took_ms = (panel.robot_time_s() - asked_s) * 1e3
    expect(status is RequestStatus.DONE, f"RECOVER ended {status.name}: {last_words(scene)}")
    expect(took_ms >= 2000.0, f"DONE after {took_ms:.0f} ms, before the robot could be")
    nothing_resumes(scene)
    return took_ms - 2000.0, "RUNNING until the robot was done"


def driver_killed(scene: Scene) -> tuple[float, str]:
    """SIGKILL of the driver while the arm moves: the robot stops by itself; a new driver finds it. Value: robot time."""
    start_moving(scene)
    rig, panel, name = scene.rig, scene.rig.panel, f"arm.{scene.name}"
    killed_s = panel.robot_time_s()
    dead = scene.arm.session
    rig.kill(name)
    while max(abs(speed) for speed in panel.status()["arms"][scene.name]["dq"]) > 0.02:
        expect(panel.robot_time_s() < killed_s + 10.0, "the robot still moves 10 s after its driver was killed")
        sleep_ns(2_000_000)
    took_ms = (panel.robot_time_s() - killed_s) * 1e3
    rig.start_driver("arm", scene.name)
    back = scene.arm.wait(
        lambda row: scene.arm.session != dead and int(row["driver_state"]) in _FOUND, "a new driver is connected"
    )
    if int(back["driver_state"]) == DriverState.REFLEX:
        recover(scene, back)
    nothing_resumes(scene)
    return took_ms, f"robot at rest by itself; a new driver found {DriverState(int(back['driver_state'])).name}"


FieldRow = tuple[str, str, float, Callable[[Scene], tuple[float, str]]]
FIELD: tuple[FieldRow, ...] = (
    ("states_lost", "rows", 0.0, loses_states),
    ("move_reply_withheld", "ms", 8000.0, reply_withheld),  # the driver's bound is 6 s
    ("end_of_motion_gap", "ms", 2500.0, late_end),
    ("slow_recovery", "ms", 1500.0, slow_recovery),
    ("driver_killed", "ms", 1500.0, driver_killed),
)


def field_rows(scene: Scene, table: tuple[FieldRow, ...]) -> list[BenchRow]:
    """A row per entry of `table`."""
    rows = []
    for name, unit, limit, measure in table:
        try:
            scene.arm.wait_rest()
            value, note = measure(scene)
            stop_moving(scene)
            scene.rig.panel.clear(scene.name)
        except SinewError as error:
            value, note = float("nan"), str(error)
            _clean_up(scene)
        rows.append(BenchRow(f"arm_{name}", value, unit, limit, note=note))
    return rows


def _row(scene: Scene, case: Case) -> BenchRow:
    name = f"arm_{case.name or case.fault}"
    try:
        value, note = _measure(scene, case)
        return BenchRow(name, value, "ms", case.limit_ms, note=f"{case.state.name}; {note}")
    except SinewError as error:
        _clean_up(scene)
        return BenchRow(name, float("nan"), "ms", case.limit_ms, note=f"{case.state.name} expected: {error}")


def _measure(scene: Scene, case: Case) -> tuple[float, str]:
    arm, panel = scene.arm, scene.rig.panel
    arm.events()
    if case.moving:
        start_moving(scene)
    else:
        arm.wait_rest()
    arm.skip_history()
    strike_s = panel.robot_time_s() + 0.1
    panel.fault(case.fault, arm=scene.name, at_s=strike_s, **dict(case.arguments))
    panel.wait_robot_time(strike_s, 60.0)
    struck_ns = scene.rig.now_ns()
    row = arm.wait_state(case.state, timeout_s=20.0)
    if case.ours:
        value = (scene.rig.now_ns() - struck_ns) * 1e-6
    else:
        seen = arm.history()["row"]
        value = float(seen["robot_time_ns"][seen["driver_state"] == case.state][0]) * 1e-6 - strike_s * 1e3
    if case.fault in {flag.name for flag in FLAGS}:
        index = next(index for index, flag in enumerate(FLAGS) if flag.name == case.fault)
        expect(bool(int(row["errors"]) >> index & 1), f"the flag is not in the row: errors {int(row['errors']):#x}")
    expect(int(row["activity"]) != ArmActivity.STREAMING, "the driver goes on streaming")
    note = case.after(scene, row)
    if case.moving:
        stop_moving(scene)
    arm.wait_rest()
    return max(value, 0.0), note


def start_moving(scene: Scene, mode: CommandMode = CommandMode.JOINT_VELOCITY) -> None:
    """Let the arm swing; returns when it is under way. A busy machine can starve the source: that is no answer to a fault."""
    for _ in range(START_TRIES):
        scene.commander = start_commander(scene.rig, scene.name, mode, RATE_HZ, SWING)
        status = scene.arm.enable(mode)
        expect(status is RequestStatus.DONE, f"ENABLE was {status.name}: {last_words(scene)}")
        row = scene.arm.wait(
            lambda row: abs(float(row["dq"][0])) > 0.05 or int(row["activity"]) != ArmActivity.STREAMING,
            "the arm moves",
        )
        if int(row["activity"]) == ArmActivity.STREAMING:
            return
        stop_moving(scene)
    raise WrongAnswerError(f"the arm did not get moving in {START_TRIES} tries: {last_words(scene)}")


def stop_moving(scene: Scene) -> None:
    """End the source."""
    if scene.commander:
        scene.rig.forget(scene.commander)
        scene.commander = ""


def _clean_up(scene: Scene) -> None:
    """After a wrong answer: give the next case a fresh chance."""
    stop_moving(scene)
    panel = scene.rig.panel
    panel.clear()
    for ending in ("user_stop_released", "brakes_unlocked", "guiding_ended"):
        panel.fault(ending, arm=scene.name)
    wait_stopped(scene)
    if scene.arm.state in (DriverState.REFLEX, DriverState.PLANNER_ERROR):
        scene.arm.ask(RequestKind.RECOVER)
    scene.arm.wait_rest()
