"""The process around the step: it turns before robots are known, latches a stop, and ends clean. Counts only, no times."""

import json
import os
import signal
import subprocess
import sys
import uuid

import pytest
import yaml

from runtime.blackbox import LOG_NAME
from runtime.cell import CELLS_DIR
from runtime.clock import MonotonicClock
from runtime.modes.causes import Cause
from runtime.modes.machine import Mode, Refusal
from runtime.replay import verify
from runtime.ring import RingReader, RingWriter, instance_dir, remove_dead_rings, ring_names
from runtime.rowlog import read_log
from runtime.rows import HEARTBEAT
from runtime.rows_rt import REQUEST_SLOTS, RT_MODES, RT_REQUEST, RtRequestKind
from runtime.ticker import sleep_ns

CLOCK = MonotonicClock()


@pytest.fixture
def instance():
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)
    assert not ring_names(name), "rt left rings behind"


@pytest.fixture
def rt(instance):
    command = [sys.executable, "-m", "runtime.rt", "--cell", "emulated", "--instance", instance]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def until(condition, tries=2000):
    for _ in range(tries):
        found = condition()
        if found is not None and found is not False:
            return found
        sleep_ns(5_000_000)
    raise AssertionError("never happened")


def test_rt_turns_latches_a_stop_before_any_arm_is_there_replays_and_ends_clean(instance, rt, tmp_path):
    modes = RingReader(instance, "rt.modes", RT_MODES)
    beats = RingReader(instance, "rt.heartbeat", HEARTBEAT)
    with (
        RingWriter(instance, "supervisor.heartbeat", HEARTBEAT, 64) as supervisor,
        RingWriter(instance, "rt.request", RT_REQUEST, REQUEST_SLOTS) as requests,
    ):
        first = int(until(lambda: modes.latest(CLOCK.now_ns()))["tick"])
        until(lambda: int(modes.latest(CLOCK.now_ns())["tick"]) > first + 20)
        assert int(until(lambda: beats.latest(CLOCK.now_ns()))["pid"]) == rt.pid

        def ask(number, kind):
            supervisor.commit(CLOCK.now_ns())
            requests.row["id"], requests.row["kind"] = number, kind
            requests.commit(CLOCK.now_ns())
            until(lambda: int(modes.latest(CLOCK.now_ns())["request_id"]) == number)
            return modes.latest(CLOCK.now_ns())

        row = ask(1, RtRequestKind.ARM)
        assert (Mode(row["mode"][0]), Refusal(row["refusal"])) == (Mode.DISARMED, Refusal.CAUSE)
        row = ask(2, RtRequestKind.STOP)
        assert (Mode(row["mode"][0]), Cause(row["cause"][0])) == (Mode.STOPPING, Cause.OPERATOR_STOP)
        assert row["waits_for"][0] == 1
        assert row["gc_runs"] == 0
        session = json.loads((instance_dir(instance) / "rt.session.json").read_text())
        assert session["allow_no_rt"] is False
        assert {one["name"] for one in session["realtime"]["permissions"]} >= {"fifo", "memory", "affinity"}
        box = subprocess.run(
            [sys.executable, "-m", "runtime.blackbox", "--instance", instance, "--out", str(tmp_path / "box")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert str(tmp_path / "box" / LOG_NAME) in box.stdout
        outcome = verify(read_log(tmp_path / "box" / LOG_NAME))
        assert outcome.difference is None, str(outcome.difference)
        assert outcome.last - outcome.first > 20
        rt.send_signal(signal.SIGTERM)
        assert rt.wait(20) == 0, rt.stderr.read()
    lines = rt.stdout.read()
    assert "rt: fifo:" in lines
    assert ring_names(instance) == []


def test_a_second_rt_under_one_name_is_refused_with_the_pid(instance, rt):
    until(lambda: RingReader(instance, "rt.modes", RT_MODES).latest(CLOCK.now_ns()))
    second = subprocess.run(
        [sys.executable, "-m", "runtime.rt", "--cell", "emulated", "--instance", instance],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    assert str(rt.pid) in second.stderr
    rt.terminate()
    assert rt.wait(20) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="drops root's rights, so it needs them first")
def test_a_real_cell_without_fifo_refuses_with_the_remedy(tmp_path):
    cell = yaml.safe_load((CELLS_DIR / "emulated.yaml").read_text())
    del cell["emulated"], cell["cameras"]
    path = tmp_path / "real.yaml"
    path.write_text(yaml.safe_dump(cell))
    shm = tmp_path / "shm"
    shm.mkdir(mode=0o777)
    tmp_path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "runtime.rt", "--cell", str(path), "--instance", "real"],
        capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=_without_rights, env={**os.environ, "SINEW_SHM": str(shm)},
    )  # fmt: skip
    assert done.returncode == 1
    for word in ("real-time", "fifo", "limits.d", "--allow-no-rt"):
        assert word in done.stderr


def _without_rights():
    import resource

    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    import ctypes

    # CAP_SYS_NICE (23) leaves the bounding set and, with the exec, the process; root stays root for its files.
    ctypes.CDLL(None).prctl(24, 23, 0, 0, 0)
