"""Turn the calling process into a real-time one, and say what the system did not permit.

SCHED_FIFO is worth about 90 times in p99 lateness, the wait primitive 1.1 times (measured under load); so a real cell
refuses to start without it, and an emulated one runs on and says so in every recording.
"""

import ctypes
import errno
import gc
import os
import resource
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.cell import Cell
from runtime.errors import SinewError
from runtime.ticker import pin_to_cpu

_MCL_CURRENT, _MCL_FUTURE = 1, 2  # sys/mman.h
_PR_SET_TIMERSLACK = 29  # linux/prctl.h
FIFO_SHARE_LIMIT = 0.80  # at 0.96 to 1.0 of a core the kernel's throttling starved camera processes on a real cell

_LIMITS_REMEDY = (
    "put '@realtime - rtprio 90' and '@realtime - memlock unlimited' into /etc/security/limits.d/90-sinew.conf, add the "
    "user to the group realtime, and log in anew (a login that skips PAM, as some ssh servers do, gets none of it)"
)
_CONTAINER_REMEDY = "in a container: --cap-add SYS_NICE --cap-add IPC_LOCK --ulimit rtprio=90 --ulimit memlock=-1"


class RealtimeRefusedError(SinewError):
    """A real cell was started without what the system must permit."""


@dataclass(frozen=True)
class Permission:
    """One thing asked of the system. `required`: a real cell does not run without it."""

    name: str
    granted: bool
    detail: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True)
class RealtimeReport:
    """What the system permitted, for the start-up report and every recording."""

    permissions: tuple[Permission, ...]

    def named(self, name: str) -> Permission:
        """One permission: fifo, memory, affinity, gc, timer_slack or fifo_budget."""
        return next(one for one in self.permissions if one.name == name)

    @property
    def missing(self) -> tuple[Permission, ...]:
        """What a real cell cannot do without and did not get."""
        return tuple(one for one in self.permissions if one.required and not one.granted)

    def lines(self) -> list[str]:
        """A line per permission, for people."""
        return [
            f"{one.name}: {'granted' if one.granted else 'NOT granted'}: {one.detail}"
            + (f": {one.remedy}" if one.remedy and not one.granted else "")
            for one in self.permissions
        ]

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"permissions": [asdict(one) for one in self.permissions]}

    @staticmethod
    def from_dict(data: dict) -> "RealtimeReport":
        """The inverse of `as_dict`."""
        return RealtimeReport(tuple(Permission(**one) for one in data["permissions"]))


class GcCounter:
    """Counts the garbage collections that run in this process after its making. In rt the count must stay 0."""

    def __init__(self) -> None:
        self.runs = 0
        gc.callbacks.append(self._called)

    def _called(self, phase: str, _info: dict) -> None:
        self.runs += phase == "start"


def enter_realtime(priority: int, cpu: int | None) -> RealtimeReport:
    """Ask for everything a control loop wants, last thing before the loop starts. Never raises for a refusal.

    Args:
        priority: SCHED_FIFO priority, 1 to 99.
        cpu: the core to pin to, or None for no pinning.
    """
    return RealtimeReport(
        (
            _affinity(cpu),
            _memory(),
            _collector(),
            _timer_slack(),
            _fifo(priority),
            _fifo_budget(),
        )
    )


def refusal(cell: Cell, report: RealtimeReport, *, allow_no_rt: bool) -> str | None:
    """Why this cell must not start with this report, or None. Emulated cells always may."""
    if cell.emulated is not None or allow_no_rt or not report.missing:
        return None
    found = "; ".join(f"{one.name}: {one.detail}: {one.remedy}" for one in report.missing)
    return (
        f"cell '{cell.name}' is real and the system did not permit real-time work: {found}. "
        "Or start with --allow-no-rt, which is recorded with the run"
    )


def _affinity(cpu: int | None) -> Permission:
    if cpu is None:
        return Permission("affinity", True, "not asked for (the cell file gives no cpu)")
    allowed = sorted(os.sched_getaffinity(0))
    problem = pin_to_cpu(cpu)
    if problem is None:
        return Permission("affinity", True, f"pinned to CPU {cpu}")
    remedy = f"give a cpu of this machine in the cell file (this process may use {allowed})"
    return Permission("affinity", False, problem, remedy)


def _memory() -> Permission:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
        return Permission("memory", True, "all pages are locked")
    reason = os.strerror(ctypes.get_errno())
    libc.munlockall()
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    shown = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit // 1024} KiB"
    detail = f"cannot lock memory: {reason} (ulimit -l is {shown})"
    return Permission("memory", False, detail, f"{_LIMITS_REMEDY}; {_CONTAINER_REMEDY}")


def _collector() -> Permission:
    gc.collect()
    gc.freeze()  # a full collection of a 600 k object heap took 420 ms
    gc.disable()
    return Permission("gc", True, f"frozen ({gc.get_freeze_count()} objects) and off", required=False)


def _timer_slack() -> Permission:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0) == 0:
        return Permission("timer_slack", True, "1 ns", required=False)
    return Permission("timer_slack", False, os.strerror(ctypes.get_errno()), "none needed under FIFO", required=False)


def _fifo(priority: int) -> Permission:
    try:
        # RESET_ON_FORK: a child, or a thread pool of a library, must not inherit the class.
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
        why = os.strerror(error.errno or errno.EPERM)
        detail = f"cannot use SCHED_FIFO priority {priority}: {why} (ulimit -r is {limit})"
        return Permission("fifo", False, detail, f"{_LIMITS_REMEDY}; {_CONTAINER_REMEDY}")
    return Permission("fifo", True, f"SCHED_FIFO priority {priority}, children start in the normal class")


def _fifo_budget() -> Permission:
    """FIFO time that the kernel grants per core: above it every FIFO task is throttled, late or not."""
    try:
        runtime_us = int(Path("/proc/sys/kernel/sched_rt_runtime_us").read_text())
        period_us = int(Path("/proc/sys/kernel/sched_rt_period_us").read_text())
    except (OSError, ValueError) as error:
        return Permission("fifo_budget", False, f"unknown: {error}", "mount /proc", required=False)
    keep = f"keep all FIFO work of a core below {FIFO_SHARE_LIMIT:.0%}"
    if runtime_us < 0:
        detail = f"throttling is off (sched_rt_runtime_us is {runtime_us}): a FIFO task that spins freezes its core"
        return Permission("fifo_budget", True, f"{detail}; {keep}", required=False)
    share = runtime_us / period_us
    remedy = "" if share >= FIFO_SHARE_LIMIT else "sysctl kernel.sched_rt_runtime_us=950000"
    detail = f"the kernel throttles FIFO above {share:.0%} of a core; {keep}"
    return Permission("fifo_budget", share >= FIFO_SHARE_LIMIT, detail, remedy, required=False)
