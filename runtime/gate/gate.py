"""The gate: `decide` once per tick gives what is sent to the arm. Nothing else may be.

The invariant: before a command is sent, a stop from the state it leads to has been planned, checked against the same
limits and stored. If the next command is refused, late or missing, that stop runs, never an older plan.

No clock is read and no state is kept but `Memory` and `Windows`: the same inputs give the same outputs, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from runtime.cell import LimitsProfile, Workspace
from runtime.gate.cartesian import PoseFollower
from runtime.gate.finding import Finding
from runtime.gate.limits import limits_of
from runtime.gate.motion import Memory, Motion, braked, rates, resting
from runtime.gate.permission import check_permission
from runtime.gate.provenance import check_provenance, origin_of
from runtime.gate.reasons import REASONS, Reason
from runtime.gate.schema import check_schema
from runtime.gate.shape import Shaper
from runtime.gate.snapshot import memory_from_plain, memory_to_plain
from runtime.gate.space import Space
from runtime.gate.touch import check_touch
from runtime.gate.trial import Trial
from runtime.gate.types import ArmFacts, Candidate, Decision, Kind
from runtime.gate.verdict import Verdict
from runtime.gate.windows import Windows
from runtime.kinematics import Kinematics, Vector3
from runtime.robot import RobotModel

NOTHING = Finding(Reason.NONE, 0.0, 0.0)
# A blend that is too fast is tried again: a little below the speed limit that it broke, or at half the speed.
SHAPE_TRIES = 4
SLOWER = 0.995
HALF = 0.5
TOO_FAST = (Reason.TCP_SPEED, Reason.ELBOW_SPEED, Reason.TCP_ROTATION, Reason.SINGULARITY)
# The speed limits follow a smaller speed factor at this rate [1/s]: slower than any source slows down (2.5 1/s), so that
# only one that does not is shaped.
FACTOR_RATE_1_S = 1.0
LEAST_FACTOR = 0.05


class Gate:
    """The gate of one arm.

    Args:
        robot: the connected one.
        profile, workspace: of the cell file; a profile looser than the robot raises `LimitsError`.
        period_ns: between two ticks.
    """

    def __init__(self, robot: RobotModel, profile: LimitsProfile, workspace: Workspace, period_ns: int) -> None:
        self.robot = robot
        self.period_ns, self._period_s = period_ns, period_ns * 1e-9
        self.limits = limits_of(robot, profile, self._period_s)
        self._kinematics = Kinematics(robot)
        self.space = Space(robot, workspace, profile.clearance_m)
        self._windows = Windows(period_ns, profile.window_displacement_m)
        self._trial = Trial(self.limits, self._kinematics, self.space, self._windows, self._period_s)
        self._shaper = Shaper(self.limits, self._period_s)
        self._poses = PoseFollower(self._kinematics, self.limits, workspace, self._period_s)
        self.reset([0.5 * (low + high) for low, high in zip(robot.lower, robot.upper, strict=True)])

    def reset(self, q: Sequence[float]) -> None:
        """Start anew at rest at `q` (7,) [rad]. Nothing of before is kept."""
        start = list(q)
        self._kinematics.set(start, [0.0] * 7)
        slack = self.space.room(start, self._kinematics.tcp()).slack
        self._memory = self._before = Memory(resting(start, slack), None, 0, 0, 1.0, Verdict.PASS, NOTHING)
        self._windows.reset()

    def points(self, q: Sequence[float]) -> tuple[Vector3, Vector3]:
        """Positions [m] of tool and elbow at `q` (7,) [rad], in the base frame."""
        self._kinematics.set(q, [0.0] * 7)
        return self._kinematics.tcp(), self._kinematics.elbow()

    @property
    def stop_duration_s(self) -> float:
        """How long the stored stop takes from now."""
        motion = self._memory.motion
        return max(0.0, motion.stop.duration - motion.elapsed)

    @property
    def stop_q(self) -> list[float]:
        """(7,) [rad] where the stored stop ends."""
        return self._memory.motion.stop.at(self._memory.motion.stop.duration)[0]

    def decide(
        self,
        now_ns: int,
        candidate: Candidate | None,
        facts: ArmFacts | None,
        armed: bool,
        deadman_ok: bool,
        speed: float = 1.0,
    ) -> Decision:
        """Judge what a source wants and say what is sent instead, if need be.

        Args:
            now_ns: this tick, monotonic.
            candidate: None brakes along the stored stop and then holds.
            facts: the arm's newest state; None if there is none.
            armed, deadman_ok: may the arm be commanded; does the teleoperator hold the switch (True for others).
            speed: factor of the sources' path speed; the speed limits follow it.
        """
        memory = self._before = self._memory
        asked = min(1.0, speed) if speed >= LEAST_FACTOR else LEAST_FACTOR  # NaN is slow too
        memory = replace(memory, factor=max(asked, memory.factor - FACTOR_RATE_1_S * self._period_s))
        rate = self._windows.check_rate(now_ns)
        if memory.latched is not Verdict.PASS:
            return self._brake(now_ns, memory, memory.latched, memory.finding)
        if rate:
            return self._halt(now_ns, memory, rate)
        if candidate is None:
            return self._silence(now_ns, memory)
        found = (
            check_permission(now_ns, facts, armed, deadman_ok)
            or check_schema(candidate, self.robot.joint_order, self.robot.frame)
            or check_provenance(candidate, now_ns, memory.origin, self.limits.max_age_ns, self.period_ns)
        )
        if found:
            return self._halt(now_ns, memory, found)
        memory = replace(memory, origin=origin_of(candidate), heard_ns=now_ns)
        assert facts is not None
        found = check_touch(facts, memory.motion.q, self.limits, candidate.guarded)
        if found:
            return self._halt(now_ns, memory, found)
        return self._follow(now_ns, candidate, memory)

    def abort(self, now_ns: int) -> Decision:
        """Take back the last `decide` of this tick and run the stop that was stored before it: another arm has stopped."""
        self._windows.undo()
        return self._halt(now_ns, self._before, Finding(Reason.GROUP, 0.0, 0.0))

    def snapshot(self) -> dict[str, Any]:
        """The whole state between two ticks as plain JSON values."""
        return {
            "memory": memory_to_plain(self._memory),
            "sent": [[stamp_ns, way, list(point)] for stamp_ns, way, point in self._windows.sent],
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Go on from a `snapshot` of a gate of the same robot, profile and period."""
        self._memory = self._before = memory_from_plain(plain["memory"], self._trial.planner)
        self._windows.reset()
        self._windows.sent.extend((stamp_ns, way, tuple(point)) for stamp_ns, way, point in plain["sent"])

    def _follow(self, now_ns: int, candidate: Candidate, memory: Memory) -> Decision:
        last = memory.motion
        short: Finding | None = None
        if candidate.kind == Kind.CARTESIAN:
            assert candidate.T_base_ee is not None
            steps, short = self._poses.step(candidate.T_base_ee, last.q)
            if steps is None:
                assert short is not None
                return self._halt(now_ns, memory, short)
            q = steps
        else:
            assert candidate.q is not None
            q = list(candidate.q)
        if candidate.dq is None:
            rate = rates(q, last.q, self._period_s)
            dq = [1.5 * new - 0.5 * old for new, old in zip(rate, last.rate, strict=True)]  # at the end of the period
        else:
            dq = list(candidate.dq)
        tried = self._trial.run(q, dq, None, last, memory.factor)
        if isinstance(tried, Motion):
            return self._shaped(now_ns, memory, tried, short) if short else self._pass(now_ns, memory, tried)
        if REASONS[tried.reason].verdict is not Verdict.SHAPE:
            return self._halt(now_ns, memory, tried)
        return self._shaped(now_ns, memory, self._blend(q, dq, last, memory.factor), tried)

    def _blend(self, q: list[float], dq: list[float], last: Motion, factor: float) -> Motion:
        """A command towards `q`, `dq` inside every limit; where none is found, one period of the stored stop."""
        aimed = self._shaper.aim(q, dq, last.q)
        for _ in range(SHAPE_TRIES):
            step = self._shaper.step(aimed, last.q, last.dq, last.ddq)
            if step is None:
                break
            tried = self._trial.run(*step, last, factor)
            if isinstance(tried, Motion):
                return tried
            share = SLOWER * tried.limit / tried.value if tried.reason in TOO_FAST else HALF
            aimed = [share * v for v in step[1]]
        return braked(last, self._period_s)

    def _pass(self, now_ns: int, memory: Memory, motion: Motion) -> Decision:
        return self._send(now_ns, replace(memory, motion=motion, shapes=0), Verdict.PASS, NOTHING)

    def _shaped(self, now_ns: int, memory: Memory, motion: Motion, why: Finding) -> Decision:
        shapes = memory.shapes + 1
        if shapes > self.limits.max_shapes:
            return self._halt(now_ns, memory, Finding(Reason.ALWAYS_SHAPED, shapes, self.limits.max_shapes))
        return self._send(now_ns, replace(memory, motion=motion, shapes=shapes), Verdict.SHAPE, why)

    def _silence(self, now_ns: int, memory: Memory) -> Decision:
        """No candidate: brake, and go on if one comes soon; hold once at rest."""
        if memory.motion.at_rest:
            return self._brake(now_ns, memory, Verdict.PASS, NOTHING)
        silent_ns = now_ns - memory.heard_ns
        if silent_ns > self.limits.max_age_ns:
            return self._halt(now_ns, memory, Finding(Reason.MISSING, silent_ns / 1e6, self.limits.max_age_ns / 1e6))
        return self._brake(now_ns, memory, Verdict.PASS, Finding(Reason.BRAKING, silent_ns / 1e6, 0.0))

    def _halt(self, now_ns: int, memory: Memory, found: Finding) -> Decision:
        """Run the stored stop to its end, whatever comes."""
        verdict = max(Verdict.STOP, REASONS[found.reason].verdict)
        return self._brake(now_ns, replace(memory, shapes=0, latched=verdict, finding=found), verdict, found)

    def _brake(self, now_ns: int, memory: Memory, verdict: Verdict, found: Finding) -> Decision:
        motion = braked(memory.motion, self._period_s)
        memory = replace(memory, motion=motion)
        if motion.at_rest:
            memory = replace(memory, latched=Verdict.PASS, finding=NOTHING)
        return self._send(now_ns, memory, verdict, found)

    def _send(self, now_ns: int, memory: Memory, verdict: Verdict, found: Finding) -> Decision:
        motion = memory.motion
        self._kinematics.set(motion.q, motion.dq)
        tcp = self._kinematics.tcp()
        if motion.elapsed > 0.0:  # on a stop: what comes next may be no worse than here, whatever was before
            motion = replace(motion, slack=self.space.room(motion.q, tcp).slack)
            memory = replace(memory, motion=motion)
        self._memory = memory
        self._windows.add(now_ns, tcp)
        stopping = (verdict >= Verdict.STOP or found.reason is Reason.BRAKING) and not motion.at_rest
        return Decision(
            verdict,
            found.reason,
            float(found.value),
            float(found.limit),
            found.where,
            motion.q,
            motion.dq,
            motion.dq_change,
            stopping,
            motion.at_rest,
        )
