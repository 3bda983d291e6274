"""What the system permits is reported with its remedy, and a real cell does not start without it."""

import json
import os
import subprocess
import sys

import pytest

from runtime.cell import load_cell
from runtime.realtime import Permission, RealtimeReport, refusal

REPORT = """
import gc, json, os
from runtime.realtime import GcCounter, enter_realtime
{before}
report = enter_realtime({priority}, {cpu})
counter = GcCounter()
junk = [[] for _ in range(200_000)]
child = os.fork()
if child == 0:
    os._exit(os.sched_getscheduler(0))
_, status = os.waitpid(child, 0)
print(json.dumps({{
    "report": report.as_dict(), "policy": os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK,
    "affinity": sorted(os.sched_getaffinity(0)), "gc": gc.isenabled(), "runs": counter.runs,
    "child_policy": os.waitstatus_to_exitcode(status), "lines": report.lines(),
}}))
"""


def enter(priority=5, cpu=None, before=""):
    """In a process of its own: what it found."""
    code = REPORT.format(priority=priority, cpu=cpu, before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_what_was_granted_is_in_force_and_the_collector_never_runs():
    cpu = max(os.sched_getaffinity(0))
    found = enter(cpu=cpu)
    report = RealtimeReport.from_dict(found["report"])
    assert (found["policy"] == os.SCHED_FIFO) is report.named("fifo").granted
    assert found["child_policy"] == os.SCHED_OTHER, "children must not inherit the class"
    assert report.named("affinity").granted
    assert found["affinity"] == [cpu]
    assert (found["gc"], found["runs"]) == (False, 0)
    assert len(found["lines"]) == len(report.permissions) == 6
    assert RealtimeReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


def test_what_is_refused_carries_value_and_remedy():
    before = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0)); resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
    )
    found = enter(priority=60, cpu=4095, before=before)
    report = RealtimeReport.from_dict(found["report"])
    assert [one.name for one in report.missing] == ["affinity", "memory", "fifo"]
    assert "ulimit -r is 0" in report.named("fifo").detail
    assert "priority 60" in report.named("fifo").detail
    assert "limits.d" in report.named("fifo").remedy
    assert "64 KiB" in report.named("memory").detail
    assert "CPU 4095" in report.named("affinity").detail
    assert any(line.startswith("fifo: NOT granted") and "limits.d" in line for line in found["lines"])
    assert found["runs"] == 0, "the collector is off whatever else is refused"


def report_with(*missing):
    names = ("affinity", "memory", "gc", "timer_slack", "fifo", "fifo_budget")
    required = {"affinity", "memory", "fifo"}
    return RealtimeReport(
        tuple(
            Permission(name, name not in missing, f"{name} detail", f"{name} remedy", name in required)
            for name in names
        )
    )


@pytest.mark.parametrize("missing", ["affinity", "memory", "fifo"])
def test_a_real_cell_refuses_and_says_what_to_do(missing):
    real = load_cell("emulated").model_copy(update={"emulated": None})
    text = refusal(real, report_with(missing), allow_no_rt=False)
    for word in (real.name, f"{missing} detail", f"{missing} remedy", "--allow-no-rt"):
        assert word in text
    assert refusal(real, report_with(missing), allow_no_rt=True) is None


def test_a_real_cell_starts_with_what_it_needs_and_an_emulated_one_always():
    cell = load_cell("emulated")
    assert (
        refusal(cell.model_copy(update={"emulated": None}), report_with("gc", "fifo_budget"), allow_no_rt=False) is None
    )
    assert refusal(cell, report_with("fifo", "memory"), allow_no_rt=False) is None
