"""One writer, many readers, nothing torn, nothing left behind."""

import os
import signal
import subprocess
import sys
import uuid

import numpy as np
import pytest

from hil.benches.ring import torn_reads
from runtime.ring import (
    MAX_SLOTS,
    RingBusyError,
    RingError,
    RingPulse,
    RingReader,
    RingSchemaError,
    RingWriter,
    RowStatus,
    instance_dir,
    remove_dead_rings,
)

ROW = np.dtype([("a", "<i8"), ("v", "<f8", (3,))])
BIG = np.dtype([("stamp", "<i8"), ("color", "u1", (480, 640, 3))])


@pytest.fixture
def instance():
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)
    assert not instance_dir(name).exists(), "a test left rings behind"


def test_a_reader_sees_the_newest_row_with_its_meta(instance):
    with RingWriter(instance, "r", ROW, 4) as writer:
        reader = RingReader(instance, "r", ROW)
        assert reader.latest(0) is None
        assert reader.status is RowStatus.EMPTY
        for value in range(1, 11):
            writer.row["a"] = value
            writer.row["v"] = (value, 2 * value, -value)
            writer.commit(value * 10)
        row = reader.latest(100)
        assert row["a"] == 10
        assert row["v"].tolist() == [10, 20, -10]
        assert (reader.meta.sequence, reader.meta.stamp_ns, reader.meta.session) == (10, 100, writer.session)


def test_an_old_row_is_stale_not_the_last_value(instance):
    with RingWriter(instance, "r", ROW, 4) as writer:
        writer.commit(1000)
        reader = RingReader(instance, "r", ROW)
        assert reader.latest(1500, max_age_ns=500) is not None
        assert reader.latest(1501, max_age_ns=500) is None
        assert reader.status is RowStatus.OLD
        assert reader.view(1501, max_age_ns=500) is None


def test_a_damaged_row_is_refused_by_its_checksum(instance):
    with RingWriter(instance, "r", ROW, 4) as writer:
        writer.row["a"] = 7
        writer.commit(1)
        reader = RingReader(instance, "r", ROW)
        assert reader.latest(1) is not None
        with writer.path.open("r+b") as file:
            file.seek(writer._data_offset + 40)
            file.write(b"\xff")
        assert reader.latest(1) is None
        assert reader.status is RowStatus.UNCLEAN
        assert list(reader.drain()) == []
        assert reader.lost == 1


def test_a_row_being_written_is_not_served(instance):
    with RingWriter(instance, "r", ROW, 4) as writer:
        reader = RingReader(instance, "r", ROW)
        with writer.writing(1) as row:
            row["a"] = 1
            assert reader.latest(1) is None
        assert reader.latest(1)["a"] == 1
        with pytest.raises(ZeroDivisionError), writer.writing(2) as row:
            row["a"] = 1 // 0
        assert reader.latest(2)["a"] == 1
        assert reader.meta.sequence == 1


def test_drain_gives_every_row_in_order_and_counts_what_was_overwritten(instance):
    with RingWriter(instance, "r", ROW, 8) as writer:
        reader = RingReader(instance, "r", ROW)
        for value in range(5):
            writer.row["a"] = value
            writer.commit(value)
        assert [int(row["a"]) for row in reader.drain()] == [0, 1, 2, 3, 4]
        assert list(reader.drain()) == []
        for value in range(5, 30):
            writer.row["a"] = value
            writer.commit(value)
        seen = [int(row["a"]) for row in reader.drain()]
        assert seen == list(range(30 - len(seen), 30))
        assert reader.lost + len(seen) == 25
        assert len(seen) >= 6


def test_skip_to_head_forgets_what_was_there(instance):
    with RingWriter(instance, "r", ROW, 8) as writer:
        reader = RingReader(instance, "r", ROW)
        writer.commit(1)
        assert reader.skip_to_head() == 1
        writer.row["a"] = 5
        writer.commit(2)
        assert [int(row["a"]) for row in reader.drain()] == [5]
        assert reader.lost == 0


def test_a_view_says_when_the_writer_has_come_round(instance):
    with RingWriter(instance, "frames", BIG, 2) as writer:
        reader = RingReader(instance, "frames", BIG)
        with writer.writing(1) as slot:
            slot["color"][:] = 9
        view = reader.view(1)
        assert int(view.row["color"][0, 0, 0]) == 9
        assert not view.row["color"].flags.writeable
        assert view.still_valid()
        writer.commit(2)
        assert view.still_valid()
        writer.commit(3)
        assert not view.still_valid()


def test_other_fields_or_versions_are_refused_by_name(instance):
    with RingWriter(instance, "r", ROW, 4) as writer:
        other = np.dtype([("a", "<i4"), ("w", "<f8", (3,))])
        with pytest.raises(RingSchemaError, match="'w' is missing.*'v' is unknown.*'a' is <i8"):
            RingReader(instance, "r", other).latest(0)
        with writer.path.open("r+b") as file:
            file.seek(8)
            file.write(b"\x63")
        with pytest.raises(RingSchemaError, match="layout version 99"):
            RingReader(instance, "r", ROW).latest(0)


def test_a_second_writer_is_refused_and_told_the_holder(instance):
    with RingWriter(instance, "r", ROW, 4), pytest.raises(RingBusyError, match=str(os.getpid())):
        RingWriter(instance, "r", ROW, 4)


@pytest.mark.parametrize(("name", "slots"), [("Bad Name", 4), ("../r", 4), ("r", 1), ("r", MAX_SLOTS + 1)])
def test_bad_names_and_sizes_are_refused(instance, name, slots):
    with pytest.raises(RingError, match="allowed|slots"):
        RingWriter(instance, name, ROW, slots)


def test_a_ring_larger_than_the_limit_is_refused_before_allocation(instance):
    with pytest.raises(RingError, match="exceed the limit"):
        RingWriter(instance, "r", BIG, 4096)


def test_a_killed_writer_leaves_nothing_that_blocks_a_second_start(instance):
    program = (
        "import sys, numpy as np; from runtime.ring import RingWriter\n"
        "w = RingWriter(sys.argv[1], 'r', np.dtype([('a', '<i8'), ('v', '<f8', (3,))]), 4)\n"
        "w.row['a'] = 1; w.commit(5); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, instance], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as child:
        child.stdout.readline()
        reader = RingReader(instance, "r", ROW)
        assert reader.latest(5)["a"] == 1
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert reader.latest(10**9, max_age_ns=10**8) is None, "a dead writer's row only gets older"
    with RingWriter(instance, "r", ROW, 4) as writer:
        writer.row["a"] = 2
        writer.commit(6)
        assert reader.latest(6)["a"] == 2, "readers follow to the new writer's ring"
        assert reader.meta.session == writer.session


def test_a_closed_ring_is_absent_and_its_reader_attaches_to_the_next(instance):
    reader = RingReader(instance, "r", ROW)
    assert reader.latest(0) is None
    assert reader.status is RowStatus.ABSENT
    first = RingWriter(instance, "r", ROW, 4)
    first.commit(1)
    assert reader.latest(1) is not None
    first.close()
    assert reader.latest(1) is None
    assert reader.status is RowStatus.ABSENT
    with RingWriter(instance, "r", ROW, 4) as second:
        second.commit(2)
        assert reader.latest(2) is not None


def test_no_torn_row_is_accepted_from_a_full_speed_writer(instance):
    for slots in (2, 16):
        accepted, torn, _ = torn_reads(instance, 1.0, slots)
        assert torn == 0
        assert accepted > 100


def test_a_pulse_tells_the_newest_stamp_whatever_the_rows_are(instance):
    pulse = RingPulse(instance, "r")
    assert pulse.stamp_ns() is None
    with RingWriter(instance, "r", ROW, 2) as writer:
        assert pulse.stamp_ns() is None
        for stamp in (5, 6, 7):
            writer.commit(stamp)
            assert pulse.stamp_ns() == stamp
    assert pulse.stamp_ns() is None
    with RingWriter(instance, "r", BIG, 2) as writer:
        writer.commit(9)
        assert pulse.stamp_ns() == 9
