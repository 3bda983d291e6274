"""What a tick leaves behind: the command row, the tick row with inputs and verdict, the modes row for everyone."""

from typing import TYPE_CHECKING

import numpy as np

from runtime.gate.verdict import Verdict
from runtime.loop.arm import Arm
from runtime.loop.group import Group
from runtime.loop.ports import Ports
from runtime.modes.machine import Mode
from runtime.rows import ARM_STATE, CommandMode
from runtime.sources.hold import ZERO

if TYPE_CHECKING:
    from runtime.loop.step import Rt

_NO_STATE = np.zeros(1, ARM_STATE)[0]


def write_arm(ports: Ports, arm: Arm, group: Group, now_ns: int, tick: int) -> None:
    """Send the arm's command, if it was judged, and record its tick."""
    sent = arm.judged
    if sent:
        _write_command(ports, arm, group, now_ns, tick)
    row = ports.tick_row(arm.index)
    view, state = arm.view, group.state
    row["tick"], row["now_ns"] = tick, now_ns
    row["state_status"] = arm.status
    row["state_sequence"], row["state_session"] = arm.meta.sequence, arm.meta.session
    row["state_stamp_ns"] = arm.meta.stamp_ns
    row["state"] = arm.seen if arm.seen is not None else _NO_STATE
    row["still_from_ns"] = view.still_from_ns
    row["gate_epoch"] = arm.epoch
    target, decision = arm.target, arm.decision
    row["source"], row["speed"] = arm.source, group.speed
    row["has_candidate"] = target is not None
    row["candidate_q"], row["candidate_dq"] = target if target is not None else (ZERO, ZERO)
    row["judged"] = arm.judged
    if decision is not None:
        row["verdict"], row["reason"] = decision.verdict, decision.reason
        row["value"], row["limit"], row["where"] = decision.value, decision.limit, decision.where
        row["stopping"], row["at_rest"] = decision.stopping, decision.at_rest
        row["ddq"] = decision.ddq
    else:
        row["verdict"], row["reason"], row["value"], row["limit"] = Verdict.PASS, 0, 0.0, 0.0
        row["where"] = 0
        row["stopping"], row["at_rest"], row["ddq"] = False, True, ZERO
    row["sent"], row["command_sequence"] = sent, view.last_sent
    row["trace"] = tick
    row["mode"], row["cause"], row["generation"] = state.mode, state.cause, state.generation
    row["active"] = view.conditions
    row["q"], row["dq"] = arm.q, arm.dq
    row["valid_until_ns"] = now_ns + arm.valid_ns if sent else 0
    ports.write_tick(arm.index, now_ns)


def _write_command(ports: Ports, arm: Arm, group: Group, now_ns: int, tick: int) -> None:
    assert arm.decision is not None
    row = ports.command_row(arm.index)
    generation = group.state.generation
    row["generation"], row["trace"], row["tick"] = generation, tick, tick
    row["mode"] = arm.command_mode
    row["q"], row["dq"] = arm.q, arm.dq
    if arm.command_mode is CommandMode.CARTESIAN_IMPEDANCE:
        assert arm.kit is not None
        row["T_base_ee"] = arm.kit.pose(arm.q)
    row["period_ns"], row["valid_until_ns"] = arm.period_ns, now_ns + arm.valid_ns
    arm.view.sent(ports.write_command(arm.index, now_ns), generation, arm.q)


def write_modes(
    ports: Ports, rt: "Rt", now_ns: int, work_ns: int, gc_runs: int, supervisor_age_ns: int, *, shutdown: bool
) -> None:
    """The row that everyone reads: modes, lease, timing, gate counts, and the answer to the last request."""
    row = ports.modes_row()
    timing, asks, plans = rt.timing, rt.asks, rt.plans
    row["tick"], row["now_ns"], row["due_ns"], row["period_ns"] = rt.tick, now_ns, timing.due_ns, rt.period_ns
    row["request_sequence"], row["plan_sequence"] = asks.sequence, rt.plan_sequence
    row["supervisor_age_ns"], row["work_ns"], row["shutdown"] = supervisor_age_ns, work_ns, shutdown
    row["groups"] = len(rt.groups)
    for k, group in enumerate(rt.groups):
        state, lease, counts = group.state, group.arbiter, group.counts
        row["mode"][k], row["action"][k], row["cause"][k] = state.mode, state.action, state.cause
        row["generation"][k], row["since_ns"][k] = state.generation, state.since_ns
        row["active"][k], row["latched"][k] = group.active, state.latched
        row["lease"][k], row["plan"][k], row["progress"][k] = lease.kind, lease.lease.plan, lease.lease.progress
        row["speed"][k], row["speed_asked"][k] = group.speed, group.speed_asked
        row["following"][k], row["still"][k] = group.following, group.still
        row["waits_for"][k] = _waits_for(group)
        row["passes"][k], row["shapes"][k] = counts[Verdict.PASS], counts[Verdict.SHAPE]
        row["stops"][k], row["trips"][k] = counts[Verdict.STOP], counts[Verdict.TRIP]
        row["reason"][k], row["reason_where"][k], row["reason_arm"][k] = group.reason[:3]
        row["reason_value"][k], row["reason_limit"][k] = group.reason[3:]
    row["request_id"], row["request_status"] = asks.id, asks.status
    row["refusal"], row["refusal_values"], row["refusal_limit"] = asks.refusal, asks.values, asks.limit
    row["late_ns"], row["late_max_ns"], row["late_ticks"] = timing.late_ns, timing.late_max_ns, timing.late_ticks
    row["skipped"], row["gap_max_ns"], row["timing"] = timing.skipped, timing.gap_max_ns, timing.level
    row["timing_history"], row["timing_clean"] = timing.history, timing.clean
    row["gc_runs"] = gc_runs
    row["plan_loaded"], row["plan_bad"] = plans.ready_id, plans.bad_id
    ports.write_modes(now_ns)


def _waits_for(group: Group) -> int:
    if group.state.mode not in (Mode.STOPPING, Mode.RECOVERING):
        return 0
    return next((1 + arm.index for arm in group.arms if not arm.view.still), 0)
