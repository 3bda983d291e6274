"""What takes many turns: arm, run a source to its end, go home, acknowledge. Each is a generator resumed once a turn.

A mission ends by returning a sentence, or by raising MissionRefusedError with what refused it and what to do. It asks rt
one thing at a time and believes only rt's answer.
"""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from launch.plan_process import command, read_answer
from launch.rt_line import Answer, Group, RtLine
from runtime.cell import Cell
from runtime.child import Child
from runtime.errors import SinewError
from runtime.modes.causes import CAUSES, Cause, causes_in, describe
from runtime.modes.machine import Mode, Refusal
from runtime.rows import RequestStatus
from runtime.rows_rt import RUN_FROM_START, RtRequestKind, SourceKind

Mission = Generator[str, None, str]
ANSWER_NS = 2_000_000_000
FOLLOW_NS = 10_000_000_000
RECOVER_NS = 20_000_000_000
PLAN_NS = 10_000_000_000


class MissionRefusedError(SinewError):
    """What was asked for was refused, or did not come to its end."""


class Missions:
    """Makes missions over one line to rt. `now_ns` is set by the supervisor before each turn."""

    def __init__(
        self, rt: RtLine, cell: Cell, cell_file: str, instance: str, groups: list[str], work_dir: Path
    ) -> None:
        self.rt, self.groups = rt, groups
        self.now_ns = 0
        self.cameras_needed: frozenset[str] = frozenset()
        self._cell, self._cell_file, self._instance, self._work_dir = cell, cell_file, instance, work_dir

    def of(self, verb: str, arguments: dict[str, Any]) -> Mission:
        """The mission of an operator's request (home, hold, speed, run)."""
        if verb == "home":
            return self.home()
        if verb == "hold":
            return self.hold()
        if verb == "speed":
            return self.speed(arguments.get("factor"))
        return self.run(Path(str(arguments.get("file", ""))))

    # --- steps -----------------------------------------------------------------------------------------------------

    def _ask(self, kind: RtRequestKind, group: int, **fields: Any) -> Generator[str, None, Answer]:
        request = self.rt.ask(self.now_ns, kind, group, **fields)
        deadline_ns = self.now_ns + ANSWER_NS
        while (answer := self.rt.answer(request)) is None or answer.status is RequestStatus.RUNNING:
            if self.now_ns > deadline_ns:
                raise MissionRefusedError(
                    f"rt did not answer '{kind.name}' within {ANSWER_NS / 1e9:g} s: is it running?"
                )
            yield f"{kind.name.lower()}: waiting for rt"
        return answer

    def _must(self, kind: RtRequestKind, group: int, **fields: Any) -> Generator[str, None, None]:
        answer = yield from self._ask(kind, group, **fields)
        if answer.refusal is not Refusal.NONE or answer.status in (RequestStatus.REFUSED, RequestStatus.FAILED):
            raise MissionRefusedError(self.sentence(kind, group, answer))

    def _group(self, index: int) -> Group:
        if not self.rt.groups:
            raise MissionRefusedError("rt says nothing any more: 'sinew check' tells what is wrong")
        return self.rt.groups[index]

    def sentence(self, kind: RtRequestKind, group: int, answer: Answer) -> str:
        """Why rt refused, for people."""
        where = self._group(group)
        reasons = {
            Refusal.WRONG_MODE: f"not possible in mode {where.mode.name}",
            Refusal.CAUSE: describe(where.cause) if where.cause is not Cause.NONE else "a cause is in effect",
            Refusal.NOT_STILL: "an arm is not still yet: wait until it is",
            Refusal.NOT_FOLLOWING: "the arm driver does not follow yet: read its messages",
            Refusal.NO_SOURCE: "there is no such source, or its plan was not taken in",
            Refusal.BUMP: _bump(answer),
            Refusal.SUPERSEDED: "the mode changed meanwhile: ask again",
            Refusal.BAD_VALUE: f"a value is out of range, limit {answer.limit:g}",
        }
        reason = reasons.get(answer.refusal, "no reason given")
        return f"'{kind.name.lower()}' refused by rt for group '{self.groups[group]}': {reason}"

    def _arm(self, group: int) -> Generator[str, None, None]:
        deadline_ns = self.now_ns + FOLLOW_NS
        while not self._group(group).still and self.now_ns < deadline_ns:
            yield "waiting for the arm to be still"
        if self._group(group).mode is Mode.DISARMED:
            yield from self._must(RtRequestKind.ARM, group)
        while not (self._group(group).mode in (Mode.ARMED, Mode.HOLD) and self._group(group).following):
            where = self._group(group)
            if where.mode not in (Mode.ARMED, Mode.HOLD, Mode.DISARMED):
                raise MissionRefusedError(f"arming ended in {where.mode.name}: {describe(where.cause)}")
            if self.now_ns > deadline_ns:
                raise MissionRefusedError(f"the driver did not follow within {FOLLOW_NS / 1e9:g} s: read its messages")
            yield f"arming {self.groups[group]}"

    def _until_done(self, group: int) -> Generator[str, None, str]:
        """Wait until what was started has come to its end. RUN was answered, so the mode has left rest at least once."""
        while True:
            where = self._group(group)
            if where.mode in (Mode.APPROACH, Mode.RUNNING):
                yield f"{where.mode.name.lower()} {where.progress:.0%}"
            elif where.mode is Mode.HOLD and where.cause is Cause.SOURCE_DONE:
                return "done"
            elif where.mode is Mode.STOPPING:
                yield "stopping"
            else:
                raise MissionRefusedError(f"ended in {where.mode.name}: {describe(where.cause)}")

    # --- missions ----------------------------------------------------------------------------------------------------

    def run(self, file: Path) -> Mission:
        """Plan a waypoint file for the connected robot, arm, approach its start, follow it, and hold at its end."""
        answer = self._work_dir / "plan.json"
        answer.unlink(missing_ok=True)
        log = self._work_dir / "plan.log"
        planning = Child("plan", command(self._cell_file, self._instance, file, answer), log)
        try:
            while planning.alive:
                yield f"planning {file.name}"
        finally:
            planning.end(1.0)
        plan = read_answer(answer)
        group = self.groups.index(list(self._cell.arms.values())[plan.arm].stop_group)
        plan_id = self.rt.send_plan(self.now_ns, plan)
        deadline_ns = self.now_ns + PLAN_NS
        while (loaded := self.rt.plan_loaded(plan_id)) is None:
            if self.now_ns > deadline_ns:
                raise MissionRefusedError("rt did not take in the plan in time: is it running?")
            yield "handing over the plan"
        if not loaded:
            raise MissionRefusedError("rt refused the plan's rows: this is a bug: keep the file that was run")
        yield from self._arm(group)
        fields = {"source": SourceKind.WAYPOINTS, "plan": plan_id, "flag": RUN_FROM_START, "arm": plan.arm}
        yield from self._must(RtRequestKind.RUN, group, **fields)
        return (yield from self._until_done(group))

    def hold(self) -> Mission:
        """Arm every group and hold still."""
        for group in range(len(self.groups)):
            yield from self._arm(group)
        return "armed: holding"

    def home(self) -> Mission:
        """Arm, then go to the cell file's home poses through the gate, guarded against contact."""
        for group in range(len(self.groups)):
            yield from self._arm(group)
            yield from self._must(RtRequestKind.RUN, group, source=SourceKind.HOME, flag=RUN_FROM_START)
            yield from self._until_done(group)
        return "at home"

    def speed(self, factor: object) -> Mission:
        """Set the path speed factor."""
        if not isinstance(factor, int | float) or not 0.05 <= factor <= 1:
            raise MissionRefusedError(f"speed {factor!r} refused: allowed are 0.05 to 1")
        for group in range(len(self.groups)):
            yield from self._must(RtRequestKind.SPEED, group, values=(float(factor),))
        return f"speed {factor:g}"

    def ack(self, acked: Callable[[], None]) -> Mission:
        """Acknowledge what stopped the arms; where the robot needs recovery, wait until it has recovered."""
        for group in range(len(self.groups)):
            yield from self._must(RtRequestKind.ACK, group)
            deadline_ns = self.now_ns + RECOVER_NS
            while self._group(group).mode in (Mode.FAULT, Mode.RECOVERING, Mode.STOPPING):
                where = self._group(group)
                if where.mode is Mode.FAULT and self.now_ns > deadline_ns - RECOVER_NS + ANSWER_NS:
                    raise MissionRefusedError(f"still in FAULT: {self._why(where)}")
                if self.now_ns > deadline_ns:
                    raise MissionRefusedError(f"no recovery within {RECOVER_NS / 1e9:g} s: {self._why(where)}")
                yield f"recovering {self.groups[group]}"
        acked()
        return "acknowledged: motion may be asked for again"

    @staticmethod
    def _why(group: Group) -> str:
        return "; ".join(CAUSES[cause].text for cause in causes_in(group.latched)) or describe(group.cause)


def _bump(answer: Answer) -> str:
    joints = ", ".join(
        f"joint {k + 1}: {value:+.4f}" for k, value in enumerate(answer.values) if abs(value) > answer.limit
    )
    return f"it does not start where the arm is (rad, limit {answer.limit:g}): {joints or 'position differs'}: go there first"
