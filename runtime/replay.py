"""Run a recorded stretch of rt through the same step again: the same bits, or the first that differs.

A log (`runtime/blackbox.py`) holds, tick by tick, all that went into the step. Where it does not reach back to rt's first
tick, the replay begins at the first two ticks in which nobody was armed: all that is remembered then is in the rows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from runtime.cell import Cell, describe_errors
from runtime.errors import SinewError
from runtime.gate.verdict import Verdict
from runtime.loop.arm import Kit
from runtime.loop.kit import build_kit, parse_identity
from runtime.loop.step import Rt
from runtime.loop.timing import Timing
from runtime.modes.causes import Action, Cause
from runtime.modes.machine import Mode, ModeState, Refusal
from runtime.ring import RowMeta, RowStatus
from runtime.rowlog import RingRows, RowLog
from runtime.rows import ARM_COMMAND, JOINTS, RequestStatus
from runtime.rows_rt import RT_MODES, RT_PLAN, RT_REQUEST, RT_TICK, RtRequestKind, SourceKind

SESSION = "rt.session.json"


class ReplayError(SinewError):
    """A log that cannot be replayed; the text says what is missing."""


@dataclass(frozen=True)
class Difference:
    """The first thing that came out otherwise."""

    tick: int
    ring: str
    field: str
    recorded: object
    replayed: object

    def __str__(self) -> str:
        return (
            f"tick {self.tick}, {self.ring}, field '{self.field}': recorded {self.recorded}, replayed {self.replayed}"
        )


@dataclass(frozen=True)
class Outcome:
    """What a replay found: ticks `first` to `last` were run, `commands` rows compared."""

    first: int
    last: int
    commands: int
    difference: Difference | None


class LogPorts:
    """Ports that read a log's rows and keep what the step writes."""

    def __init__(self, log: RowLog, names: list[str]) -> None:
        self._names = names
        self.modes = _rows(log, "rt.modes", RT_MODES)
        self.ticks = [_rows(log, f"rt.tick.{name}", RT_TICK) for name in names]
        self._requests = _given(log, "rt.request", RT_REQUEST)
        self._plans = _given(log, "rt.plan", RT_PLAN)
        self._commands_at = [0] * len(names)
        self.index = 0
        self.request_sequence = self.plan_sequence = 0
        self.command = [np.zeros(1, ARM_COMMAND)[0] for _ in names]
        self.tick = [np.zeros(1, RT_TICK)[0] for _ in names]
        self.mode = np.zeros(1, RT_MODES)[0]
        self.sent: list[list[tuple[int, bytes]]] = [[] for _ in names]

    def seek(self, index: int) -> None:
        """The tick that the next step is."""
        self.index = index

    def begin_after(self, index: int) -> None:
        """All that was taken in or sent up to this row is past."""
        row = self.modes[index]
        self.request_sequence, self.plan_sequence = int(row["request_sequence"]), int(row["plan_sequence"])
        self._commands_at = [int(ticks[index]["command_sequence"]) for ticks in self.ticks]

    def past_requests(self) -> Iterator[tuple[np.void, RowMeta]]:
        return _between(self._requests, 0, self.request_sequence)

    def past_plan_rows(self) -> Iterator[tuple[np.void, RowMeta]]:
        return _between(self._plans, 0, self.plan_sequence)

    # what the step asks for

    def arm_state(self, arm: int, now_ns: int) -> tuple[np.void | None, RowMeta, RowStatus]:
        row = self.ticks[arm][self.index]
        status = RowStatus(int(row["state_status"]))
        meta = RowMeta(int(row["state_sequence"]), int(row["state_session"]), int(row["state_stamp_ns"]))
        return (row["state"] if status is RowStatus.FRESH else None), meta, status

    def requests(self) -> Iterator[tuple[np.void, RowMeta]]:
        for row, meta in _between(
            self._requests, self.request_sequence, int(self.modes[self.index]["request_sequence"])
        ):
            self.request_sequence = meta.sequence  # before the yield: the step may stop taking at any row
            yield row, meta

    def plan_rows(self) -> Iterator[tuple[np.void, RowMeta]]:
        for row, meta in _between(self._plans, self.plan_sequence, int(self.modes[self.index]["plan_sequence"])):
            self.plan_sequence = meta.sequence
            yield row, meta

    def supervisor_age_ns(self, now_ns: int) -> int:
        return int(self.modes[self.index]["supervisor_age_ns"])

    def command_row(self, arm: int) -> np.void:
        return self.command[arm]

    def write_command(self, arm: int, now_ns: int) -> int:
        self._commands_at[arm] += 1
        self.sent[arm].append((self._commands_at[arm], self.command[arm].tobytes()))
        return self._commands_at[arm]

    def tick_row(self, arm: int) -> np.void:
        return self.tick[arm]

    def write_tick(self, arm: int, now_ns: int) -> None: ...

    def modes_row(self) -> np.void:
        return self.mode

    def write_modes(self, now_ns: int) -> None: ...


def verify(log: RowLog) -> Outcome:
    """Replay a log and compare every tick, modes and command row, bit for bit.

    Raises:
        ReplayError: the log lacks what a replay needs.
    """
    session = _session(log)
    cell = _cell(session)
    names = list(cell.arms)
    ports = LogPorts(log, names)
    ports.ticks = _aligned(ports, names)
    start = _where_to_begin(ports)
    rt = Rt(cell, ports, int(session["start_ns"]), int(session["first_generation"]))
    if start:
        _restore(rt, ports, start - 1)
    for index in range(start, len(ports.modes)):
        ports.seek(index)
        for arm, ticks in enumerate(ports.ticks):
            epoch = int(ticks[index]["gate_epoch"])
            if epoch and rt.arms[arm].kit is None:
                rt.robot_known(arm, _kit(log, cell, names[arm]))
            if epoch == 2:
                rt.robot_changed(arm)
        row = ports.modes[index]
        rt.step(int(row["now_ns"]), int(row["work_ns"]), int(row["gc_runs"]), shutdown=bool(row["shutdown"]))
        found = _compare(row, ports.mode, "rt.modes")
        for arm, name in enumerate(names):
            # The tick row first: it is nearer to the cause.
            found = _compare(ports.ticks[arm][index], ports.tick[arm], f"rt.tick.{name}") or found
        if found:
            return Outcome(int(ports.modes[start]["tick"]), int(row["tick"]), 0, found)
    commands, found = _compare_commands(log, ports, names)
    first, last = int(ports.modes[start]["tick"]), int(ports.modes[-1]["tick"])
    return Outcome(first, last, commands, found)


def _session(log: RowLog) -> dict:
    try:
        return dict(json.loads(log.attachments[SESSION]))
    except (KeyError, ValueError) as error:
        raise ReplayError(f"the log has no readable {SESSION}: it is no recording of an rt process") from error


def _cell(session: dict) -> Cell:
    try:
        return Cell.model_validate(session["cell"])
    except ValidationError as error:
        raise ReplayError(describe_errors(error, f"{SESSION}, cell", Cell)) from error


def _kit(log: RowLog, cell: Cell, arm: str) -> Kit:
    name = f"arm.{arm}.identity.json"
    if name not in log.attachments:
        raise ReplayError(f"the log has no {name}: without the robot's limits there is no gate to replay")
    return build_kit(parse_identity(log.attachments[name], name), cell, arm, 1_000_000_000 // cell.loop.rate_hz)


def _rows(log: RowLog, ring: str, dtype: np.dtype) -> np.ndarray:
    found = log.rings.get(ring)
    if found is None or not len(found.rows):
        raise ReplayError(f"the log has no rows of ring '{ring}': it is no recording of an rt process")
    if found.rows.dtype != dtype:
        raise ReplayError(
            f"ring '{ring}' of the log has other fields than this version: replay it with the one it was made by"
        )
    return found.rows


def _given(log: RowLog, ring: str, dtype: np.dtype) -> RingRows:
    if ring not in log.rings:
        return RingRows(np.zeros(0, [("sequence", "<u8"), ("session", "<u8"), ("stamp_ns", "<i8")]), np.zeros(0, dtype))
    return RingRows(log.rings[ring].meta, _rows(log, ring, dtype)) if len(log.rings[ring].rows) else log.rings[ring]


def _between(rows: RingRows, after: int, until: int) -> Iterator[tuple[np.void, RowMeta]]:
    """Rows with sequence numbers in (after, until]; a missing one is an error: the step saw it."""
    expected = after + 1
    for meta, row in zip(rows.meta, rows.rows, strict=True):
        sequence = int(meta["sequence"])
        if after < sequence <= until:
            if after and sequence != expected:
                break
            expected = sequence + 1
            yield row, RowMeta(sequence, int(meta["session"]), int(meta["stamp_ns"]))
    if after and expected <= until:
        raise ReplayError(f"the log lacks request or plan row {expected}, which the step took in: it begins too late")


def _aligned(ports: LogPorts, names: list[str]) -> list[np.ndarray]:
    """Cut modes and tick rows to the ticks that all have."""
    first = max(int(rows["tick"][0]) for rows in (ports.modes, *ports.ticks))
    last = min(int(rows["tick"][-1]) for rows in (ports.modes, *ports.ticks))
    cut = [rows[(rows["tick"] >= first) & (rows["tick"] <= last)] for rows in (ports.modes, *ports.ticks)]
    for rows, ring in zip(cut, ["rt.modes", *names], strict=True):
        if len(rows) != last - first + 1:
            raise ReplayError(f"rows of '{ring}' are missing between tick {first} and {last}: the recorder lost some")
    ports.modes = cut[0]
    return cut[1:]


def _where_to_begin(ports: LogPorts) -> int:
    if int(ports.modes[0]["tick"]) == 1:
        return 0
    judged = np.any([rows["judged"] > 0 for rows in ports.ticks], axis=0)
    for index in range(2, len(ports.modes)):
        if not judged[index - 1] and not judged[index - 2]:
            return index
    raise ReplayError(
        f"the log begins at tick {int(ports.modes[0]['tick'])} with the arm armed, and it is in all of it: "
        "a replay must begin at rt's start or where nobody was armed: record from the start"
    )


def _restore(rt: Rt, ports: LogPorts, index: int) -> None:
    """Make `rt` what it was after this tick, in which nobody was armed."""
    ports.begin_after(index)
    row = ports.modes[index]
    rt.tick, rt.plan_sequence = int(row["tick"]), int(row["plan_sequence"])
    timing = rt.timing
    timing.last_ns = int(row["now_ns"])
    timing.slot = (timing.last_ns - timing.start_ns) // timing.period_ns
    timing.late_max_ns, timing.gap_max_ns = int(row["late_max_ns"]), int(row["gap_max_ns"])
    timing.late_ticks, timing.skipped, timing.level = int(row["late_ticks"]), int(row["skipped"]), Timing(row["timing"])
    timing.history, timing.clean = int(row["timing_history"]), int(row["timing_clean"])
    asks = rt.asks
    asks.sequence, asks.id = int(row["request_sequence"]), int(row["request_id"])
    asks.status, asks.refusal = RequestStatus(row["request_status"]), Refusal(row["refusal"])
    asks.values, asks.limit = tuple(row["refusal_values"].tolist()), float(row["refusal_limit"])
    for k, group in enumerate(rt.groups):
        group.state = ModeState(
            Mode(row["mode"][k]),
            int(row["generation"][k]),
            int(row["since_ns"][k]),
            int(row["latched"][k]),
            Cause(row["cause"][k]),
            Action(row["action"][k]),
        )
        group.active, group.speed_asked = int(row["active"][k]), float(row["speed_asked"][k])
        counts = (row["passes"][k], row["shapes"][k], row["stops"][k], row["trips"][k])
        group.counts = dict(zip(Verdict, map(int, counts), strict=True))
        where = (int(row["reason"][k]), int(row["reason_where"][k]), int(row["reason_arm"][k]))
        group.reason = (*where, float(row["reason_value"][k]), float(row["reason_limit"][k]))
    for arm, ticks in zip(rt.arms, ports.ticks, strict=True):
        tick = ticks[index]
        seen = tick["state"] if tick["state_status"] == RowStatus.FRESH else None
        arm.view.restore(seen, int(tick["still_from_ns"]), int(tick["command_sequence"]))
        arm.q, arm.dq = tuple(tick["q"].tolist()), tuple(tick["dq"].tolist())
        arm.source = SourceKind(tick["source"])
    for plan_row, _ in ports.past_plan_rows():
        rt.plans.take(plan_row)
    for request, meta in ports.past_requests():
        if request["kind"] == RtRequestKind.JOG and request["group"] < len(rt.groups):
            rt.groups[int(request["group"])].hand = (tuple(request["values"][:JOINTS].tolist()), meta.stamp_ns)


def _compare(recorded: np.void, replayed: np.void, ring: str) -> Difference | None:
    if recorded.tobytes() == replayed.tobytes():
        return None
    for name in recorded.dtype.names or ():
        if recorded[name].tobytes() != replayed[name].tobytes():
            return Difference(int(recorded["tick"]), ring, name, recorded[name].tolist(), replayed[name].tolist())
    raise AssertionError("rows differ in no field")


def _compare_commands(log: RowLog, ports: LogPorts, names: list[str]) -> tuple[int, Difference | None]:
    """The rows that went to the drivers, where the log has them."""
    compared = 0
    for arm, name in enumerate(names):
        ring = f"arm.{name}.command"
        if ring not in log.rings or not len(log.rings[ring].rows):
            continue
        recorded = dict(zip(log.rings[ring].meta["sequence"].tolist(), _rows(log, ring, ARM_COMMAND), strict=True))
        for sequence, raw in ports.sent[arm]:
            if sequence in recorded:
                compared += 1
                found = _compare(recorded[sequence], np.frombuffer(raw, ARM_COMMAND)[0], ring)
                if found:
                    return compared, found
    return compared, None
