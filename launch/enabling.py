"""What the supervisor asks of an arm driver, given what rt and the driver say: a pure function, one arm at a time.

rt never writes requests to a driver; it says in which mode and generation it is, and the driver must follow: enabled
while rt commands, recovered when an operator has acknowledged a fault, disabled when rt has disarmed.
"""

from dataclasses import dataclass

from runtime.modes.causes import CAUSES, causes_in
from runtime.modes.machine import Mode
from runtime.rows import ArmActivity, DriverState, RequestKind, RequestStatus

REPEAT_NS = 1_000_000_000  # a request that had no effect is asked again no sooner


@dataclass(frozen=True)
class DriverFacts:
    """What the driver's state row says."""

    state: DriverState
    activity: ArmActivity
    enabled_generation: int
    request_id: int
    request_status: RequestStatus


@dataclass(frozen=True)
class Asked:
    """The last request made to this driver."""

    kind: RequestKind | None = None
    generation: int = 0
    request_id: int = 0
    stamp_ns: int = 0


def next_request(
    now_ns: int, mode: Mode, generation: int, latched: int, driver: DriverFacts, asked: Asked
) -> RequestKind | None:
    """The request to make now, or None. `latched` is the group's mask of causes."""
    wanted = _wanted(mode, latched, driver)
    if wanted is None:
        return None
    same = asked.kind is wanted and (asked.generation == generation or wanted is not RequestKind.ENABLE)
    if same:
        unanswered = driver.request_id != asked.request_id or driver.request_status is RequestStatus.RUNNING
        if unanswered or now_ns - asked.stamp_ns < REPEAT_NS:
            return None
    return wanted


def _wanted(mode: Mode, latched: int, driver: DriverFacts) -> RequestKind | None:
    if mode is Mode.RECOVERING:
        if driver.state is DriverState.OK:
            return None
        asks = {CAUSES[cause].recovery for cause in causes_in(latched)} - {None}
        # A dead link first: nothing else reaches the robot.
        if driver.state is DriverState.LINK_DEAD:
            return RequestKind.RECONNECT
        return RequestKind.RECOVER if RequestKind.RECOVER in asks else None
    if mode is Mode.ARMED and driver.state is DriverState.OK and driver.enabled_generation == 0:
        return RequestKind.ENABLE
    if mode in (Mode.DISARMED, Mode.FAULT) and driver.enabled_generation != 0:
        return RequestKind.DISABLE
    return None
