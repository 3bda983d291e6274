"""A recording run through the step again: the same bits, or the first difference by tick, ring and field."""

import json

import numpy as np
import pytest

from runtime.modes.machine import Mode
from runtime.replay import ReplayError, verify
from runtime.ring import RowMeta
from runtime.rowlog import RowLogError, RowLogWriter, read_log
from runtime.rows import ARM_COMMAND, DriverState
from runtime.rows_rt import RT_MODES, RT_PLAN, RT_REQUEST, RT_TICK, RtRequestKind, SourceKind

K = RtRequestKind
LOG = "run.mcap"


@pytest.fixture
def record(tmp_path, identity_json):
    """Write what a world did as a log; `first` drops the ticks before it, `change` spoils rows on the way."""

    def make(world, first=1, change=None):
        path = tmp_path / LOG
        log = RowLogWriter(path)
        session = {
            "cell": json.loads(world.cell.model_dump_json(by_alias=True)),
            "start_ns": world.rt.timing.start_ns,
            "first_generation": 1000,
        }
        log.attach("rt.session.json", json.dumps(session).encode(), 1)
        for name in world.cell.arms:
            log.attach(f"arm.{name}.identity.json", identity_json, 1)

        def ring(name, dtype, rows):
            log.ring(name, dtype)
            for row, meta in rows:
                if change:
                    row = change(name, row.copy())
                if row is not None:
                    log.row(name, row.tobytes(), meta)

        def numbered(rows):
            return [(row, RowMeta(int(row["tick"]), 1, int(row["now_ns"]))) for row in rows if row["tick"] >= first]

        ring("rt.modes", RT_MODES, numbered(world.ports.modes))
        ring("rt.request", RT_REQUEST, world.ports.sent_requests)
        ring("rt.plan", RT_PLAN, world.ports.sent_plans)
        for index, name in enumerate(world.cell.arms):
            ring(f"rt.tick.{name}", RT_TICK, numbered(world.ports.ticks[index]))
            commands = [(row, RowMeta(sequence, 1, 1)) for sequence, row in world.ports.commands[index]]
            ring(f"arm.{name}.command", ARM_COMMAND, commands)
        log.close()
        return path

    return make


def eventful(world):
    """Plan, approach, hold, resume, speed, takeover, reflex, recovery, re-arm, run: a bit of everything."""
    world.run(3)
    world.moving()
    world.ask(K.SPEED, values=(0.6,))
    world.run(3, late_ns=4_000_000, work_ns=777)
    world.request(K.JOG, values=(0, 0, 0, 0, 0, 0, 0.1))
    world.ask(K.TAKE_OVER, source=SourceKind.JOG)
    world.run(60)
    world.home()
    world.run(15)
    world.ports.arms[0].row["driver_state"] = DriverState.REFLEX
    world.ports.arms[0].disable()
    world.run(80)
    assert world.modes["mode"][0] == Mode.FAULT
    world.ports.arms[0].row["driver_state"] = DriverState.OK
    world.ask(K.ACK)
    world.run(3)
    assert world.modes["mode"][0] == Mode.DISARMED
    world.armed()
    world.ask(K.RUN, source=SourceKind.WAYPOINTS, plan=1)
    world.run(60)
    assert world.modes["mode"][0] in (Mode.RUNNING, Mode.APPROACH)
    return world


def test_a_recorded_run_replays_bit_for_bit(world, record):
    eventful(world)
    outcome = verify(read_log(record(world)))
    assert outcome.difference is None, str(outcome.difference)
    assert (outcome.first, outcome.last) == (1, len(world.ports.modes))
    assert outcome.commands == len(world.ports.commands[0]) > 150


def test_two_arms_and_groups_replay_bit_for_bit(make_world, record):
    world = make_world({"left": "pair", "right": "pair", "other": "alone"})
    world.armed(0)
    world.armed(1)
    world.home(arm=1, group=1)
    world.run(30)
    world.ports.arms[0].row["driver_state"] = DriverState.USER_STOP
    world.run(30)
    outcome = verify(read_log(record(world)))
    assert outcome.difference is None, str(outcome.difference)
    assert outcome.commands > 100


@pytest.mark.parametrize("unarmed_at_start", [False, True])
def test_a_box_that_begins_in_mid_run_replays_from_where_nobody_was_armed(world, record, unarmed_at_start):
    eventful(world)
    judged = "".join(str(int(row["judged"])) for row in world.ports.ticks[0])
    armed_again = len(judged.rstrip("1"))  # index of the first tick after the re-arm
    disarmed = len(judged[:armed_again].rstrip("0"))  # index of the first one in FAULT
    first = disarmed + 1 + (4 if unarmed_at_start else -5)
    outcome = verify(read_log(record(world, first=first)))
    assert outcome.difference is None, str(outcome.difference)
    assert outcome.first == (first + 2 if unarmed_at_start else disarmed + 3)
    assert outcome.commands == len(judged) - armed_again


def test_a_box_without_an_unarmed_tick_says_so(world, record):
    world.moving()
    with pytest.raises(ReplayError, match="record from the start"):
        verify(read_log(record(world, first=len(world.ports.modes) - 10)))


@pytest.mark.parametrize(
    ("ring", "field", "tick"),
    [
        ("rt.tick.main", "q", 50),
        ("rt.tick.main", "verdict", 60),
        ("rt.modes", "cause", 40),
        ("arm.main.command", "dq", 55),
    ],
)
def test_the_first_difference_is_named(world, record, ring, field, tick):
    world.moving()

    def change(name, row):
        if name == ring and row["tick"] == tick:
            if field in ("q", "dq"):
                row[field][2] = np.nextafter(row[field][2], 9.0)  # one bit
            else:
                row[field] = 7
        return row

    outcome = verify(read_log(record(world, change=change)))
    found = outcome.difference
    assert (found.tick, found.ring, found.field) == (tick, ring, field)
    for word in (str(tick), ring, field, "recorded", "replayed"):
        assert word in str(found)


def test_a_changed_input_changes_what_comes_out(world, record):
    """The replay really runs the step: it does not compare the log with itself."""
    world.moving()

    def change(name, row):
        if name == "rt.tick.main" and row["tick"] == 50:
            row["state"]["driver_state"] = DriverState.REFLEX
        return row

    found = verify(read_log(record(world, change=change))).difference
    assert found.tick == 50
    assert found.field in ("source", "has_candidate", "mode", "active")


def test_lost_rows_are_said(world, record):
    world.moving()
    with pytest.raises(ReplayError, match="missing between tick"):
        verify(
            read_log(record(world, change=lambda name, row: None if name == "rt.modes" and row["tick"] == 30 else row))
        )


def test_what_is_no_log_is_refused_by_name(tmp_path, world, record):
    with pytest.raises(RowLogError, match="No such file"):
        read_log(tmp_path / "none.mcap")
    (tmp_path / "text.mcap").write_text("hello " * 100)
    with pytest.raises(RowLogError, match=r"text\.mcap"):
        read_log(tmp_path / "text.mcap")
    empty = RowLogWriter(tmp_path / "empty.mcap")
    empty.close()
    with pytest.raises(ReplayError, match=r"rt\.session\.json"):
        verify(read_log(tmp_path / "empty.mcap"))


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(world, record):
    world.moving()
    path = record(world)
    raw = path.read_bytes()
    for share in (0.6, 0.95):
        path.write_bytes(raw[: int(len(raw) * share)])
        log = read_log(path)
        assert not log.whole
        assert sum(len(ring.rows) for ring in log.rings.values()) > 0


def test_a_log_bears_its_name_only_when_it_is_whole(tmp_path):
    log = RowLogWriter(tmp_path / LOG)
    log.ring("rt.modes", RT_MODES)
    assert not (tmp_path / LOG).exists()
    log.close()
    assert (tmp_path / LOG).exists()
    assert list(tmp_path.glob("*.part")) == []
