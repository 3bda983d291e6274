"""Check 9: does the arm follow, and does something push it?"""

import math

from runtime.gate.finding import Finding
from runtime.gate.limits import Limits
from runtime.gate.reasons import Reason
from runtime.gate.types import ArmFacts

# Share of the force and torque limits that ends a guarded move (home, reset): nothing is to be touched on the way.
GUARD = 0.5


def check_touch(facts: ArmFacts, q: list[float], limits: Limits, guarded: bool) -> Finding | None:
    """`q` is the last command. Force and torque are the norms of the estimated external wrench."""
    for j, (measured, commanded) in enumerate(zip(facts.q, q, strict=True), start=1):
        if not abs(measured - commanded) <= limits.tracking:
            return Finding(Reason.TRACKING, abs(measured - commanded), limits.tracking, j)
    force, torque = math.hypot(*facts.wrench_base[:3]), math.hypot(*facts.wrench_base[3:])
    for value, limit, reason in ((force, limits.force, Reason.FORCE), (torque, limits.torque, Reason.TORQUE)):
        if not value <= limit:
            return Finding(reason, value, limit)
        if guarded and not value <= GUARD * limit:
            return Finding(Reason.CONTACT, value, GUARD * limit)
    return None
