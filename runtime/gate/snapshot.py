"""The gate's state between two ticks as plain JSON values: a black box that begins in mid-run replays from it."""

from typing import Any

from runtime.gate.finding import Finding
from runtime.gate.motion import Memory, Motion
from runtime.gate.provenance import Origin
from runtime.gate.reasons import Reason
from runtime.gate.stop import Rest, StopKind, StopPlanner
from runtime.gate.verdict import Verdict

SEVENS = ("q", "dq", "ddq", "rate", "dq_change", "rate_change")


def memory_to_plain(memory: Memory) -> dict[str, Any]:
    """Numbers, lists and None only."""
    motion = memory.motion
    return {
        "motion": {name: list(getattr(motion, name)) for name in SEVENS},
        "stop_kind": int(motion.stop.kind),
        "stop_start": [list(part) for part in motion.stop.start],
        "elapsed": motion.elapsed,
        "slack": motion.slack,
        "origin": None if memory.origin is None else list(memory.origin),
        "heard_ns": memory.heard_ns,
        "shapes": memory.shapes,
        "factor": memory.factor,
        "latched": int(memory.latched),
        "finding": list(memory.finding),
    }


def memory_from_plain(plain: dict[str, Any], planner: StopPlanner) -> Memory:
    """The memory that `memory_to_plain` wrote, for a gate of the same robot, profile and period.

    The stop is planned again from where it began: the same planner makes the same stop of it.
    """
    q, dq, ddq = plain["stop_start"]
    make = {StopKind.PATH: planner.path, StopKind.JOINTS: planner.joints}.get(StopKind(plain["stop_kind"]))
    stop = make(q, dq, ddq) if make else Rest(q)
    assert stop is not None  # the same planner found it before
    reason, value, limit, where = plain["finding"]
    return Memory(
        motion=Motion(**plain["motion"], stop=stop, elapsed=plain["elapsed"], slack=plain["slack"]),
        origin=None if plain["origin"] is None else Origin(*plain["origin"]),
        heard_ns=plain["heard_ns"],
        shapes=plain["shapes"],
        factor=plain["factor"],
        latched=Verdict(plain["latched"]),
        finding=Finding(Reason(reason), value, limit, where),
    )
