"""What the emulated hand can be made to suffer: one table row per fault, as `hil.fci.faults` has them for the arm."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from hil.fci.faults import Argument
from hil.fci.hand_server import HandServer

_MS = 1_000_000
_DURATION = Argument("duration_ms", "ms", 1, 600_000, 1500, whole=True)


@dataclass(frozen=True)
class HandFaultKind:
    """One row: the sentence for people, the arguments, what it does at a robot time [ns]."""

    says: str
    arguments: tuple[Argument, ...]
    apply: Callable[[HandServer, SimpleNamespace, int], None]


HAND_FAULTS: dict[str, HandFaultKind] = {
    "hand_silent": HandFaultKind(
        "the hand answers nothing and sends no state; its connection stays open",
        (_DURATION,),
        lambda hand, a, now_ns: hand.silence(now_ns + a.duration_ms * _MS),
    ),
    "hand_dropped": HandFaultKind(
        "the hand's connection is reset and new ones are refused for a time",
        (_DURATION,),
        lambda hand, a, now_ns: hand.go_away(now_ns + a.duration_ms * _MS),
    ),
    "hand_fails": HandFaultKind(
        "the hand answers its next commands with 'failed' and does not move",
        (Argument("count", "", 1, 1000, 1, whole=True),),
        lambda hand, a, _now_ns: hand.fail_next(a.count),
    ),
    "hand_restore": HandFaultKind("every lasting fault of the hand ends", (), lambda hand, _, _now_ns: hand.restore()),
}
