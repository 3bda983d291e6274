"""The supervisor's line to rt: requests out, modes in. One request waits for its answer at a time; a stop waits for none."""

from dataclasses import dataclass, field

import numpy as np

from runtime.gate.reasons import Reason
from runtime.gate.reasons import describe as describe_reason
from runtime.modes.causes import Cause
from runtime.modes.machine import Mode, Refusal
from runtime.ring import RingReader, RingWriter
from runtime.rows import RequestStatus
from runtime.rows_rt import PLAN_SLOTS, REQUEST_SLOTS, RT_MODES, RT_PLAN, RT_REQUEST, RtRequestKind, SourceKind
from runtime.sources.plan import Plan, write_plan

MODES_MAX_AGE_NS = 300_000_000


@dataclass(frozen=True)
class Group:
    """What rt says of one stop group."""

    name: str
    mode: Mode
    cause: Cause
    generation: int
    latched: int
    lease: SourceKind
    progress: float
    speed: float
    following: bool
    still: bool
    gate: str = ""  # what the gate last found, in words


@dataclass(frozen=True)
class Answer:
    """How rt answered a request."""

    status: RequestStatus
    refusal: Refusal
    values: tuple[float, ...] = field(default=())
    limit: float = 0.0


class RtLine:
    """Rings `rt.request`, `rt.plan` (written) and `rt.modes` (read) of one instance."""

    def __init__(self, instance: str, groups: list[str]) -> None:
        self.group_names = groups
        self._requests = RingWriter(instance, "rt.request", RT_REQUEST, REQUEST_SLOTS)
        self._plans = RingWriter(instance, "rt.plan", RT_PLAN, PLAN_SLOTS)
        self._modes = RingReader(instance, "rt.modes", RT_MODES)
        self._next_id = 1
        self._next_plan = 1
        self._answers: dict[int, Answer] = {}
        self.row: np.void | None = None
        self.groups: list[Group] = []

    def poll(self, now_ns: int) -> None:
        """Read what rt said since the last call."""
        for row in self._modes.drain():
            if row["request_id"] and int(row["request_id"]) not in self._answers:
                self._answers[int(row["request_id"])] = Answer(
                    RequestStatus(row["request_status"]),
                    Refusal(row["refusal"]),
                    tuple(row["refusal_values"].tolist()),
                    float(row["refusal_limit"]),
                )
        self.row = self._modes.latest(now_ns, MODES_MAX_AGE_NS)
        self.groups = [] if self.row is None else [self._group(self.row, k) for k in range(len(self.group_names))]

    def _group(self, row: np.void, k: int) -> Group:
        return Group(
            self.group_names[k],
            Mode(row["mode"][k]),
            Cause(row["cause"][k]),
            int(row["generation"][k]),
            int(row["latched"][k]),
            SourceKind(row["lease"][k]),
            float(row["progress"][k]),
            float(row["speed"][k]),
            bool(row["following"][k]),
            bool(row["still"][k]),
            _gate_sentence(row, k),
        )

    def ask(
        self,
        now_ns: int,
        kind: RtRequestKind,
        group: int,
        *,
        source: SourceKind = SourceKind.NONE,
        plan: int = 0,
        cause: Cause = Cause.NONE,
        flag: int = 0,
        arm: int = 0,
        values: tuple[float, ...] = (),
    ) -> int:
        """Write one request; returns its id for `answer`."""
        row = self._requests.row
        row["id"], row["generation"], row["kind"], row["group"], row["arm"] = self._next_id, 0, kind, group, arm
        row["source"], row["cause"], row["flag"], row["plan"] = source, cause, flag, plan
        row["values"] = 0.0
        row["values"][: len(values)] = values
        self._requests.commit(now_ns)
        self._next_id += 1
        return self._next_id - 1

    def answer(self, request_id: int) -> Answer | None:
        """How a request was answered, once it was."""
        return self._answers.get(request_id)

    def send_plan(self, now_ns: int, plan: Plan) -> int:
        """Hand rt a planned motion; returns the id under which RUN finds it."""
        plan_id = self._next_plan
        self._next_plan += 1
        write_plan(self._plans, plan_id, plan, now_ns)
        return plan_id

    def plan_loaded(self, plan_id: int) -> bool | None:
        """True: ready; False: rt refused its rows; None: not yet."""
        if self.row is None:
            return None
        if int(self.row["plan_bad"]) == plan_id:
            return False
        return True if int(self.row["plan_loaded"]) == plan_id else None

    def close(self) -> None:
        self._requests.close()
        self._plans.close()


def _gate_sentence(row: np.void, k: int) -> str:
    if not row["reason"][k]:
        return ""
    value, limit = float(row["reason_value"][k]), float(row["reason_limit"][k])
    return describe_reason(Reason(row["reason"][k]), value, limit, int(row["reason_where"][k]))
