"""Hold: bring what moves to rest along its own path, then stay."""

from runtime.rows_rt import SourceKind
from runtime.sources.base import Joints, Source, Target

ZERO: Joints = (0.0,) * 7


class HoldSource:
    """Stays where the last command was.

    `outgoing`, the source that had the lease before, is asked to brake first: along the path is safer than beside it
    (in contact, leaving the path presses the tool). One that has nothing more to say, or was not moving, is dropped.
    """

    kind = SourceKind.HOLD
    guarded = False
    plan = 0
    done = False
    progress = 0.0

    def __init__(self, outgoing: Source | None = None) -> None:
        self._outgoing = outgoing
        self._q: Joints = ZERO

    def start_pose(self) -> Joints | None:
        return None

    def begin(self, q: Joints, dq: Joints) -> None:
        self._q = q

    def advance(self, now_ns: int, period_s: float, speed: float) -> Target | None:
        if self._outgoing is not None:
            target = self._outgoing.advance(now_ns, period_s, 0.0)
            if target is None:
                return None  # it cannot brake: the gate's stored stop can
            self._q = target.q
            if not self._outgoing.braked:
                return target
            self._outgoing = None
        return Target(self._q, ZERO)

    @property
    def braked(self) -> bool:
        return self._outgoing is None
