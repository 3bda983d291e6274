"""Who commands: exactly one source has the lease of a stop group, and it is handed over without a bump or not at all."""

from typing import NamedTuple

from runtime.rows_rt import SourceKind
from runtime.sources.base import Joints, Source, Target
from runtime.sources.goto import GotoSource, MoveLimits
from runtime.sources.hold import HoldSource

BUMPLESS_RAD = 1e-3  # a start this near to the last command is taken as it is; the gate smooths the rest


class Offer(NamedTuple):
    """A source that asks for the lease of an arm: how far its start is from the last command, per joint [rad]."""

    source: Source
    arm: int
    differences: Joints

    @property
    def bumpless(self) -> bool:
        return max(map(abs, self.differences)) <= BUMPLESS_RAD


class Arbiter:
    """The lease of one stop group. Every arm of it always has a holder; all but the driven one hold."""

    def __init__(self, arms: tuple[int, ...]) -> None:
        self._holders: dict[int, Source] = {arm: HoldSource() for arm in arms}
        self._waiting: Offer | None = None  # what the running approach leads to
        self.driven = arms[0]
        self.held: Offer | None = None  # a source that was interrupted and can go on

    @property
    def lease(self) -> Source:
        """The one holder that is more than holding, or the driven arm's hold."""
        return self._holders[self.driven]

    @property
    def kind(self) -> SourceKind:
        """Whose lease it is: during an approach, that of the source it leads to."""
        return self._waiting.source.kind if self._waiting else self.lease.kind

    @staticmethod
    def offer(source: Source, arm: int, q: Joints) -> Offer:
        """Look at a source before it gets anything: `q` is the arm's last command [rad]."""
        start = source.start_pose()
        return Offer(source, arm, tuple(a - b for a, b in zip(start, q, strict=True)) if start else (0.0,) * 7)

    def grant(self, offer: Offer, q: Joints, dq: Joints, limits: MoveLimits | None) -> None:
        """Give the lease. `q`, `dq`: the arm's last command. With `limits`, a guarded move to the start comes first."""
        self._keep(offer.arm)
        if self.held is not None and self.held.source is offer.source:
            self.held = None
        self._waiting = None
        self.driven = offer.arm
        if limits is None:
            self._holders[offer.arm] = offer.source
        else:
            start = offer.source.start_pose()
            assert start is not None
            self._waiting = offer
            self._holders[offer.arm] = GotoSource(start, limits, offer.source.kind)
        self._holders[offer.arm].begin(q, dq)

    def arrive(self, q: Joints, dq: Joints) -> None:
        """The approach is over: its source has the lease now."""
        assert self._waiting is not None
        offer, self._waiting = self._waiting, None
        self._holders[offer.arm] = offer.source
        offer.source.begin(q, dq)

    def hold(self, arm: int, q: Joints, dq: Joints, *, brake: bool) -> None:
        """Take the lease back: the arm holds; with `brake` the outgoing source brakes along its path first."""
        outgoing = self._holders[arm]
        if isinstance(outgoing, HoldSource):
            if brake:
                return  # it holds, or still brakes, already
        elif arm == self.driven:
            self._keep(arm)
            self._waiting = None
        self._holders[arm] = HoldSource(outgoing if brake else None)
        self._holders[arm].begin(q, dq)

    def _keep(self, arm: int) -> None:
        """Remember a plan that loses the lease before its end: it can go on later."""
        outgoing = self._waiting or Offer(self._holders[arm], arm, (0.0,) * 7)
        if outgoing.source.plan and not outgoing.source.done:
            self.held = outgoing

    def advance(self, arm: int, now_ns: int, period_s: float, speed: float) -> Target | None:
        """One period of the arm's holder."""
        return self._holders[arm].advance(now_ns, period_s, speed)

    @property
    def arrived(self) -> bool:
        """The approach has reached its end."""
        return self._waiting is not None and self.lease.done
