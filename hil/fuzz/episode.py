"""One episode: a gate, a seed, sources that take turns, and the history of what the gate sent. Reproducible by its seed."""

import functools
import traceback
from dataclasses import dataclass

import numpy as np

from hil.fuzz.bounds import Bounds, bounds_of
from hil.fuzz.history import ROW, SHAPE, START, STOP, History
from hil.fuzz.poison import POISONS, with_poison
from hil.fuzz.situation import Ask, Situation, Tool
from hil.fuzz.sources import MOTIONS, Source
from hil.scenes import fr3
from runtime.cell import Box, HalfSpace, Workspace, load_cell
from runtime.gate.gate import Gate
from runtime.gate.types import Decision
from runtime.robot import RobotModel

CELL, ARM = "emulated", "main"
ROWS = 2500  # ticks of an episode
HAND_MOVED_M = 0.03  # how far outside of its room an arm is found at most
SPANS = (5, 30, 150, 600)  # ticks for which one source holds the lease
STUCK = 40  # ticks of refusals at rest after which the arm is set elsewhere
SETTLE_S = 5.0  # for the last stop of an episode; the slowest takes about one
PERIODS_NS = {5_000_000: 0.6, 1_000_000: 0.3, 10_000_000: 0.1}
SOURCES: dict[str, tuple[Source, float]] = {
    **MOTIONS,
    **{name: (with_poison(poison), weight) for name, (poison, weight) in POISONS.items()},
}
# Beside the cell's own: a box to keep out of where the arm works, and a wall.
CROWDED = Workspace(
    inside=(Box(name="room", center_m=(0.4, 0.0, 0.5), size_m=(1.2, 1.4, 1.0)),),
    half_spaces=(
        HalfSpace(name="table", normal=(0.0, 0.0, 1.0), offset_m=0.0),
        HalfSpace(name="wall", normal=(0.0, 1.0, 0.0), offset_m=-0.45),
    ),
    keep_out=(Box(name="shelf", center_m=(0.55, 0.35, 0.2), size_m=(0.2, 0.2, 0.4)),),
)


@dataclass(frozen=True)
class Setting:
    """What an episode is run under: profile of the cell, workspace, period."""

    profile: str
    crowded: bool
    period_ns: int


@dataclass(frozen=True)
class Failure:
    """An exception out of the gate."""

    seed: int
    tick: int
    family: str
    text: str


@dataclass
class Bench:
    """What episodes under one setting share. The gate is reset at the start of each."""

    gate: Gate
    bounds: Bounds
    tool: Tool
    pool: np.ndarray


def setting_of(seed: int) -> Setting:
    """The seed picks it."""
    rng = np.random.default_rng([seed, 1])
    profiles = sorted(load_cell(CELL).limits.profiles)
    period = rng.choice(list(PERIODS_NS), p=list(PERIODS_NS.values()))
    return Setting(str(rng.choice(profiles)), bool(rng.random() < 0.4), int(period))


@functools.lru_cache(maxsize=16)
def bench_of(setting: Setting) -> Bench:
    """A gate on the emulated robot, and the checker's bounds for the same setting."""
    cell = load_cell(CELL)
    profile = cell.limits.profiles[setting.profile]
    workspace = CROWDED if setting.crowded else cell.limits.workspace[ARM]
    robot = RobotModel.from_urdf(fr3.urdf(), fr3.T_flange_ee_hand(), hand=True)
    bounds = bounds_of(profile, workspace)
    return Bench(Gate(robot, profile, workspace, setting.period_ns), bounds, Tool(), poses_inside(bounds))


def poses_inside(bounds: Bounds, tries: int = 12_000, room_m: float = 0.005) -> np.ndarray:
    """(n, 7) configurations inside every limit, dense at the joints' limits, the same for every seed."""
    rng = np.random.default_rng(2718)
    q = rng.uniform(bounds.lower, bounds.upper, (tries, 7))
    near = rng.random((tries, 7)) < 0.1
    edge = np.where(rng.random((tries, 7)) < 0.5, bounds.lower, bounds.upper)
    q = np.where(near, np.clip(edge + 0.02 * rng.standard_normal((tries, 7)), bounds.lower, bounds.upper), q)
    good = bounds.room(q) > room_m
    return q[good]


class Episode:
    """Runs `rows` ticks from `seed`. `history` and `failures` are its result."""

    def __init__(self, seed: int, rows: int) -> None:
        self.seed, self.setting = seed, setting_of(seed)
        self._bench = bench_of(self.setting)
        self._rng = np.random.default_rng([seed, 2])
        self._rows = np.zeros(2 * rows + 2, dtype=ROW)
        self._families: list[str] = []
        self._filled = self._epoch = self._tick = 0
        self.failures: list[Failure] = []
        self._run(rows)
        self.history = History(self.setting.period_ns * 1e-9, self._rows[: self._filled].copy(), self._families)

    def _run(self, ticks: int) -> None:
        s = self._situation()
        self._reset(s, s.some_pose())
        names = list(SOURCES)
        weights = np.array([weight for _, weight in SOURCES.values()])
        while self._tick < ticks:
            name = names[self._rng.choice(len(names), p=weights / weights.sum())]
            self._turn(s, name, SOURCES[name][0], min(int(self._rng.choice(SPANS)), ticks - self._tick))
        s.clock = "exact"
        for _ in range(round(SETTLE_S / s.period_s)):
            if self._rows["at_rest"][self._filled - 1]:
                return
            self._pass_time(s)
            self._one(s, "end", Ask(None, s.facts()))

    def _turn(self, s: Situation, family: str, source: Source, ticks: int) -> None:
        """One source has the lease, for some ticks or until the arm is stuck or fails."""
        s.clock = "exact"
        asks, stuck = source(s), 0
        for _ in range(ticks):
            self._pass_time(s)
            row = self._one(s, family, next(asks))
            if row is None:
                return
            refused = bool(row["at_rest"]) and int(row["verdict"]) >= STOP
            stuck = stuck + 1 if refused else 0
            if stuck > STUCK or (refused and self._rng.random() < 0.05):
                self._reset(s, self._start_pose(s))
                return

    def _situation(self) -> Situation:
        bench = self._bench
        return Situation(
            rng=self._rng, bounds=bench.bounds, tool=bench.tool, pool=bench.pool,
            period_s=self.setting.period_ns * 1e-9,
            joint_order=bench.gate.robot.joint_order, frame=bench.gate.robot.frame,
            q=np.zeros(7), dq=np.zeros(7), ddq=np.zeros(7),
        )  # fmt: skip

    def _start_pose(self, s: Situation) -> np.ndarray:
        """Where the arm stands at a reset: where it is, in a good pose, or moved a little outside by hand."""
        kind = self._rng.random()
        if kind < 0.5:
            return s.q
        q = s.some_pose()
        if kind > 0.9:
            moved = q.copy()
            j = int(self._rng.integers(7))
            beyond = float(self._rng.uniform(0.0, 1.0)) * s.bounds.profile.joint_margin_rad
            moved[j] = s.bounds.upper[j] + beyond if self._rng.random() < 0.5 else s.bounds.lower[j] - beyond
            if s.bounds.room(moved[None])[0] > -HAND_MOVED_M:
                return moved
        return q

    def _reset(self, s: Situation, q: np.ndarray) -> None:
        self._bench.gate.reset(q.tolist())
        s.q, s.dq, s.ddq = np.array(q), np.zeros(7), np.zeros(7)
        s.generation += 1
        s.taken = None
        self._epoch += 1
        row = self._next_row("start")
        row["now_ns"], row["q"], row["verdict"], row["at_rest"], row["speed"] = s.now_ns, q, START, True, 1.0

    def _pass_time(self, s: Situation) -> None:
        period = self.setting.period_ns
        if s.clock == "late" and self._rng.random() < 0.3:
            s.now_ns += period * int(self._rng.integers(1, 40))
        elif s.clock == "burst" and self._rng.random() < 0.7:
            s.now_ns += int(period * self._rng.uniform(0.0, 0.5))
        else:
            s.now_ns += period

    def _one(self, s: Situation, family: str, ask: Ask) -> np.void | None:
        """One tick; None after an exception."""
        gate = self._bench.gate
        self._tick += 1
        try:
            decision = gate.decide(s.now_ns, ask.candidate, ask.facts, ask.armed, ask.deadman_ok, ask.speed)
            if ask.abort:
                decision = gate.abort(s.now_ns)
        except Exception:  # noqa: BLE001 whatever comes out is a finding: it is counted and told
            self.failures.append(Failure(self.seed, self._tick, family, traceback.format_exc(limit=-4)))
            self._reset(s, s.some_pose())
            return None
        taken = ask.candidate if int(decision.verdict) <= SHAPE and not ask.abort else None
        s.taken = taken
        s.q, s.dq, s.ddq = np.array(decision.q), np.array(decision.dq), np.array(decision.ddq)
        return self._record(s, family, ask, decision)

    def _record(self, s: Situation, family: str, ask: Ask, decision: Decision) -> np.void:
        gate = self._bench.gate
        row = self._next_row(family)
        row["now_ns"], row["q"], row["dq"], row["ddq"] = s.now_ns, s.q, s.dq, s.ddq
        row["verdict"], row["reason"] = decision.verdict, decision.reason
        row["stopping"], row["at_rest"], row["speed"] = decision.stopping, decision.at_rest, ask.speed
        row["must"], row["absent"] = ask.must, ask.candidate is None
        row["predicted"] = np.abs(np.array(gate.stop_q) - s.q)
        row["predicted_s"] = gate.stop_duration_s
        return row

    def _next_row(self, family: str) -> np.void:
        if self._filled == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(len(self._rows), dtype=ROW)])
        row = self._rows[self._filled]
        row["epoch"], row["tick"] = self._epoch, self._tick
        self._filled += 1
        self._families.append(family)
        return row
