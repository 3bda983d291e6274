"""Every fault of the emulated hand, with the driver's answer. Values are our time where the hand itself is silent."""

import math
from collections.abc import Callable

from hil.driver_bench.arm_faults import expect
from hil.remote import Hand
from hil.report import BenchRow
from hil.rig import Rig
from runtime.errors import SinewError
from runtime.rows import DriverState, RequestKind, RequestStatus

DEAD_MS = 3000.0  # the client library gives a silent hand 1 s, a socket that it has given up another second
READY_MS = 15000.0  # back-off after several attempts

BAD_REQUESTS: tuple[tuple[str, RequestKind, tuple[float, ...]], ...] = (
    ("width NaN", RequestKind.HAND_MOVE, (math.nan, 0.1)),
    ("width beyond the travel", RequestKind.HAND_MOVE, (0.2, 0.1)),
    ("negative width", RequestKind.HAND_MOVE, (-0.01, 0.1)),
    ("speed infinite", RequestKind.HAND_MOVE, (0.04, math.inf)),
    ("speed zero", RequestKind.HAND_MOVE, (0.04, 0.0)),
    ("force beyond the hand's", RequestKind.HAND_GRASP, (0.04, 0.1, 500.0, 0.005, 0.005)),
    ("epsilon NaN", RequestKind.HAND_GRASP, (0.04, 0.1, 20.0, math.nan, 0.005)),
    ("a request for arms", RequestKind.GOTO, ()),
)


def motions(rig: Rig, hand: Hand) -> tuple[float, str]:
    """Homing, move, grasp of nothing, stop. Value: error of the reached width."""
    for kind, values, wanted in (
        (RequestKind.HAND_HOMING, (), RequestStatus.DONE),
        (RequestKind.HAND_MOVE, (0.03, 0.1), RequestStatus.DONE),
        (RequestKind.HAND_GRASP, (0.02, 0.1, 20.0, 0.002, 0.002), RequestStatus.UNSUCCESSFUL),
        (RequestKind.HAND_MOVE, (0.06, 0.1), RequestStatus.DONE),
    ):
        status = hand.ask(kind, values=values)
        expect(status is wanted, f"{kind.name} ended {status.name}, not {wanted.name}: {hand.events()[-2:]}")
    row = hand.wait(lambda _: True, "a state row")
    error_m = abs(float(row["width_m"]) - 0.06)
    hand.send(RequestKind.HAND_MOVE, values=(0.0, 0.01))
    hand.wait(lambda row: bool(row["busy"]), "the fingers move")
    status = hand.ask(RequestKind.HAND_STOP)
    expect(status is RequestStatus.DONE, f"HAND_STOP ended {status.name}")
    row = hand.wait(lambda row: not row["busy"], "the hand is free")
    expect(float(row["width_m"]) > 0.02, f"stopped only at {float(row['width_m']):.3f} m")
    return error_m * 1e3, "homing, move, empty grasp UNSUCCESSFUL, stop in mid-move"


def refusals(rig: Rig, hand: Hand) -> tuple[float, str]:
    """NaN and out-of-range requests. Value: how many were not refused, or moved something."""
    before = float(hand.wait(lambda row: not row["busy"], "the hand is free")["width_m"])
    wrong = 0
    for _, kind, values in BAD_REQUESTS:
        status = hand.ask(kind, values=values)
        wrong += status is not RequestStatus.REFUSED
    after = float(hand.wait(lambda _: True, "a state row")["width_m"])
    expect(abs(after - before) < 1e-4, f"the fingers moved from {before:.4f} to {after:.4f} m")
    return float(wrong), f"{len(BAD_REQUESTS)} bad requests, each refused with its reason"


def dead_link(fault: str) -> Callable[[Rig, Hand], tuple[float, str]]:
    """A fault that takes the hand away for 1.5 s while it moves. Value: until LINK_DEAD."""

    def measure(rig: Rig, hand: Hand) -> tuple[float, str]:
        hand.ask(RequestKind.HAND_MOVE, values=(0.07, 0.1))
        connection = int(hand.wait_state(DriverState.OK)["connection"])
        request = hand.send(RequestKind.HAND_MOVE, values=(0.0, 0.005))
        hand.wait(lambda row: bool(row["busy"]), "the fingers move")
        hand.skip_history()
        rig.panel.fault(fault, duration_ms=1500)
        struck_ns = rig.now_ns()
        row = hand.wait_state(DriverState.LINK_DEAD)
        took_ms = (rig.now_ns() - struck_ns) * 1e-6
        expect(
            int(row["request_id"]) == request and int(row["request_status"]) == RequestStatus.FAILED,
            "the move did not fail",
        )
        back = hand.wait(
            lambda row: int(row["driver_state"]) == DriverState.OK and int(row["connection"]) > connection,
            "a new connection",
        )
        seen = hand.history()["row"]
        dead = seen[seen["driver_state"] != DriverState.OK]
        expect(len(dead) > 0, "no row of the dead time")
        expect(bool(all(math.isnan(width) for width in dead["width_m"])), "a width was shown while the link was dead")
        expect(not back["busy"], "a motion resumed on the new connection")
        return (
            took_ms,
            f"move FAILED, no width in {len(dead)} rows of the dead time, rebuilt as connection {int(back['connection'])}",
        )

    return measure


def fails(rig: Rig, hand: Hand) -> tuple[float, str]:
    """The hand itself answers 'failed'. Value: motions that did not say so."""
    rig.panel.fault("hand_fails", count=1)
    first = hand.ask(RequestKind.HAND_MOVE, values=(0.05, 0.1))
    expect(first is RequestStatus.FAILED, f"the failing move ended {first.name}")
    second = hand.ask(RequestKind.HAND_MOVE, values=(0.05, 0.1))
    expect(second is RequestStatus.DONE, f"the next move ended {second.name}")
    expect(hand.state is DriverState.OK, "a failed motion is no dead link")
    return 0.0, "FAILED with the hand's words, then usable at once"


TABLE: tuple[tuple[str, str, float, bool, Callable[[Rig, Hand], tuple[float, str]]], ...] = (
    ("motions", "mm", 1.0, False, motions),
    ("bad_requests", "", 0.0, False, refusals),
    ("hand_silent", "ms", DEAD_MS, True, dead_link("hand_silent")),
    ("hand_dropped", "ms", DEAD_MS, True, dead_link("hand_dropped")),
    ("hand_fails", "", 0.0, True, fails),
)  # name, unit, limit, needs the emulator, measurement
QUICK = ("bad_requests", "hand_dropped")


def run(rig: Rig, *, emulated: bool, quick: bool) -> list[BenchRow]:
    """A row per entry of `TABLE` that this cell can be put to, on its first hand."""
    hand = next(iter(rig.hands.values()))
    rows = []
    for name, unit, limit, needs_emulator, measure in TABLE:
        row_name = name if name.startswith("hand") else f"hand_{name}"
        if quick and name not in QUICK:
            continue
        if needs_emulator and not emulated:
            rows.append(BenchRow(row_name, math.nan, unit, note="not applicable: needs the emulated hand"))
            continue
        try:
            value, note = measure(rig, hand)
        except SinewError as error:
            value, note = math.nan, str(error)
        rows.append(BenchRow(row_name, value, unit, limit, note=note))
    return rows
