"""The last seconds of every ring, whole rows, with what a reader needs to understand them."""

import uuid

import numpy as np
import pytest

from runtime.blackbox import main, save
from runtime.ring import RingWriter, instance_dir, remove_dead_rings
from runtime.rowlog import RowLogError, read_log
from runtime.rows import ARM_STATE, EVENT, frame_dtype

SECOND = 1_000_000_000


@pytest.fixture
def instance():
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)


def fill(writer, stamps, field, of):
    for stamp_ns in stamps:
        writer.row[field] = of(stamp_ns)
        writer.commit(stamp_ns)


def test_every_ring_is_saved_ten_seconds_back_and_rts_own_as_far_as_they_reach(instance, tmp_path):
    frame = frame_dtype(64, 48, depth=True, infrared=False)
    stamps = range(0, 30 * SECOND, SECOND)
    with (
        RingWriter(instance, "arm.main.state", ARM_STATE, 64) as state,
        RingWriter(instance, "rt.request", EVENT, 64) as request,
        RingWriter(instance, "camera.front.frame", frame, 4) as camera,
    ):
        (instance_dir(instance) / "rt.session.json").write_text("{}")
        fill(state, stamps, "q", lambda ns: ns)
        fill(request, stamps, "code", lambda ns: str(ns).encode())
        fill(camera, stamps, "color", lambda ns: ns // SECOND)
        counts = save(instance, tmp_path / "box.mcap", 25 * SECOND)
        assert counts == {"arm.main.state": 11, "rt.request": 26, "camera.front.frame": 0}
        save(instance, tmp_path / "late.mcap", 30 * SECOND)
    log = read_log(tmp_path / "box.mcap")
    assert log.whole
    assert log.attachments["rt.session.json"] == b"{}"
    rows = log.rings["arm.main.state"]
    assert rows.rows.dtype == ARM_STATE
    assert rows.meta["stamp_ns"].tolist() == [k * SECOND for k in range(15, 26)]
    assert rows.meta["sequence"].tolist() == list(range(16, 27))
    assert np.unique(rows.meta["session"]).tolist() == [state.session]
    assert rows.rows["q"][:, 3].tolist() == [float(k * SECOND) for k in range(15, 26)]
    frames = read_log(tmp_path / "late.mcap").rings["camera.front.frame"]
    assert [int(one["color"][5, 5, 1]) for one in frames.rows] == [27, 28, 29]


def test_no_such_instance_and_no_room_are_said(instance, tmp_path, capsys):
    with pytest.raises(RowLogError, match="is the cell running"):
        save(instance, tmp_path / "box.mcap", SECOND)
    assert main(["--instance", instance, "--out", str(tmp_path)]) == 1
    assert instance in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    with RingWriter(instance, "e", EVENT, 4), pytest.raises(RowLogError, match="make room"):
        save(instance, tmp_path / "file" / "box.mcap", SECOND)
