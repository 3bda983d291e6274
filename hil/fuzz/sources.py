"""Sources of motion that asks for too much: an iterator of `Ask` each, one table row each."""

from collections.abc import Callable, Iterator

import numpy as np

from hil.fuzz.mover import Mover
from hil.fuzz.situation import Ask, Situation

Source = Callable[[Situation], Iterator[Ask]]

# Steps to either side of a limit: none, one rounding, and up to what every tolerance must notice.
EDGES = (0.0, 2.3e-16, -2.3e-16, 1e-12, -1e-12, 1e-9, -1e-9, 1e-6, -1e-6, 1e-3, -1e-3, 2e-2, -2e-2)


def cruise(s: Situation, goal: Callable[[], np.ndarray] | None = None, share: float | None = None) -> Iterator[Ask]:
    """From pose to pose, inside the limits but sometimes barely."""
    share = float(s.rng.uniform(0.2, 0.97)) if share is None else share
    mover = Mover(s, velocity=share, acceleration=share, jerk=share, tool=share)
    goal = goal or s.some_pose
    target = goal()
    follows = s.rng.random() < 0.7  # goes on from what was sent, or keeps to its own plan whatever was sent
    with_speed = s.rng.random() < 0.8
    while True:
        if np.abs(mover.q - target).max() < 0.02 or s.rng.random() < 0.002:
            target = goal()
        if follows:
            mover.catch_up()
        q, dq = mover.towards(target)
        yield s.ask(q, dq if with_speed else None)


def near_edges(s: Situation) -> Iterator[Ask]:
    """Goals at and a step beside the joints' limits."""

    def goal() -> np.ndarray:
        q = s.some_pose().copy()
        for j in s.rng.choice(7, size=s.rng.integers(1, 4), replace=False):
            edge = s.bounds.upper[j] if s.rng.random() < 0.5 else s.bounds.lower[j]
            q[j] = edge + s.rng.choice(EDGES)
        return q

    return cruise(s, goal, float(s.rng.choice([0.6, 0.9, 1.0, 1.05])))


def near_singular(s: Situation) -> Iterator[Ask]:
    """Goals with the elbow stretched, the wrist in line, the shoulder over the base; dense about them."""

    def goal() -> np.ndarray:
        q = s.some_pose().copy()
        spread = 10.0 ** s.rng.uniform(-4, -0.5)
        kind = s.rng.integers(3)
        if kind == 0:
            q[3] = s.bounds.upper[3] - abs(spread * s.rng.standard_normal())
        elif kind == 1:
            q[4], q[5] = spread * s.rng.standard_normal(), s.bounds.lower[5] + abs(spread * s.rng.standard_normal())
        else:
            q[1], q[3] = spread * s.rng.standard_normal(), s.bounds.upper[3] - abs(spread * s.rng.standard_normal())
        return np.clip(q, s.bounds.lower, s.bounds.upper)

    return cruise(s, goal, float(s.rng.choice([0.5, 0.9, 1.0])))


def into_walls(s: Situation) -> Iterator[Ask]:
    """The tool straight on at up to its greatest speed, whatever is there."""
    mover = Mover(s, velocity=1.0, acceleration=0.98, jerk=0.98, tool=np.inf)
    heading = s.rng.standard_normal(3)
    if s.rng.random() < 0.4:
        heading = np.array([0.0, 0.0, -1.0]) + 0.3 * s.rng.standard_normal(3)
    heading *= s.rng.choice([0.5, 0.9, 0.99, 1.0]) * s.bounds.profile.tcp_speed_m_s / np.linalg.norm(heading)
    while True:
        mover.catch_up()
        J = s.tool.jacobian(mover.q)
        twist = np.concatenate([heading, np.zeros(3)])
        wanted = J.T @ np.linalg.solve(J @ J.T + 1e-4 * np.eye(6), twist)
        yield s.ask(*mover.at_speed(wanted))


def ramp(s: Situation) -> Iterator[Ask]:
    """Some joints at constant speed into their limits and on."""
    mover = Mover(s, acceleration=0.99, jerk=0.99, tool=np.inf, hard=True)
    share = float(s.rng.choice([0.1, 0.5, 0.99, 1.0, 1.01, 1.5]))
    wanted = share * s.bounds.velocity * s.rng.choice([-1.0, 0.0, 1.0], size=7)
    open_loop = s.rng.random() < 0.3
    while True:
        if not open_loop:
            mover.catch_up()
        yield s.ask(*mover.at_speed(wanted))


def reversals(s: Situation) -> Iterator[Ask]:
    """Full speed one way, then the other, as fast as the limits let it or faster."""
    share = float(s.rng.choice([0.9, 0.999, 1.0, 1.0 + 1e-9, 1.1, 2.0]))
    mover = Mover(
        s, velocity=share, acceleration=share, jerk=share, tool=float(s.rng.choice([0.9, 1.0, 1e9])), hard=True
    )
    wanted = s.bounds.velocity * s.rng.uniform(-1, 1, size=7)
    every = int(s.rng.integers(2, 60))
    tick = 0
    while True:
        tick += 1
        if tick % every == 0:
            wanted = -wanted
        mover.catch_up()
        yield s.ask(*mover.at_speed(wanted))


def boundary(s: Situation) -> Iterator[Ask]:
    """Exactly at velocity, acceleration, jerk and tool speed limits, and a step to either side of one of them."""
    shares = {"velocity": 1.0, "acceleration": 1.0, "jerk": 1.0, "tool": 1.0}
    shares[str(s.rng.choice(sorted(shares)))] += float(s.rng.choice(EDGES))
    mover = Mover(s, hard=True, **shares)
    target = s.some_pose()
    while True:
        if s.rng.random() < 0.02:
            target = s.some_pose()
        mover.catch_up()
        yield s.ask(*mover.towards(target))


def corners(s: Situation) -> Iterator[Ask]:
    """One period from the last command: every joint's acceleration changes by exactly as much as it may, at random."""
    edge = float(s.rng.choice(EDGES))
    while True:
        step = s.bounds.jerk * s.period_s * s.rng.choice([-1.0, 0.0, 1.0], size=7) * (1.0 + edge)
        ddq = np.clip(s.ddq + step, -s.bounds.acceleration, s.bounds.acceleration)
        dq = s.dq + ddq * s.period_s
        yield s.ask(s.q + 0.5 * (s.dq + dq) * s.period_s, dq)


def jumps(s: Situation) -> Iterator[Ask]:
    """Steps just below, at and above the jump limits, alternating or not."""
    profile = s.bounds.profile
    while True:
        base = float(s.rng.choice([profile.jump_shape_rad, profile.jump_stop_rad]))
        step = base * (1.0 + float(s.rng.choice([*EDGES, -0.1, 0.1])))
        signs = s.rng.choice([-1.0, 0.0, 1.0], size=7)
        q = s.q + step * signs
        yield s.ask(q, None if s.rng.random() < 0.5 else np.zeros(7))


def alternating(s: Situation) -> Iterator[Ask]:
    """To and fro about one place, from one rounding up to the jump limit; velocities told as nothing, or as they are."""
    size = 10.0 ** s.rng.uniform(-16, -1)
    place, signs = s.q.copy(), s.rng.choice([-1.0, 1.0], size=7)
    tell = s.rng.integers(3)
    while True:
        signs = -signs
        q = place + size * signs
        yield s.ask(q, [None, np.zeros(7), 2 * size * signs / s.period_s][tell])


def drift(s: Situation) -> Iterator[Ask]:
    """Positions creep while the velocities say rest, by up to what a consistency check may let through."""
    share = float(s.rng.choice([0.1, 0.24, 0.25, 0.26, 0.49, 0.5, 0.51]))
    creep = share * s.bounds.acceleration * s.period_s**2 * s.rng.choice([-1.0, 0.0, 1.0], size=7)
    flip = s.rng.random() < 0.3
    while True:
        if flip:
            creep = -creep
        yield s.ask(s.q + creep, np.zeros(7))


def liar(s: Situation) -> Iterator[Ask]:
    """Velocities that are not the positions' own."""
    factor = float(s.rng.choice([-1.0, 0.0, 0.5, 0.9, 1.1, 2.0, 1e3]))
    mover = Mover(s)
    target = s.some_pose()
    while True:
        mover.catch_up()
        q, dq = mover.towards(target)
        yield s.ask(q, factor * dq)


def anywhere(s: Situation) -> Iterator[Ask]:
    """Uniform over more than the joints' ranges, with any velocity."""
    while True:
        span = s.bounds.upper - s.bounds.lower
        q = s.rng.uniform(s.bounds.lower - 0.2 * span, s.bounds.upper + 0.2 * span)
        yield s.ask(q, s.rng.normal(scale=10.0 ** s.rng.uniform(-6, 3), size=7) if s.rng.random() < 0.5 else None)


def nearby(s: Situation) -> Iterator[Ask]:
    """Noise about the last command, from roundings to radians."""
    while True:
        size = 10.0 ** s.rng.uniform(-12, 0)
        q = s.q + size * s.rng.standard_normal(7)
        yield s.ask(q, s.dq + size * s.rng.standard_normal(7) / s.period_s if s.rng.random() < 0.5 else None)


def noisy(s: Situation) -> Iterator[Ask]:
    """A good motion with noise on it, as learned policies have."""
    size = 10.0 ** s.rng.uniform(-7, -2)
    for ask in cruise(s):
        assert ask.candidate is not None
        assert ask.candidate.q is not None
        ask.candidate.q = (np.array(ask.candidate.q) + size * s.rng.standard_normal(7)).tolist()
        ask.must = s.must_for(ask.candidate.q)
        yield ask


def coarse(s: Situation) -> Iterator[Ask]:
    """A good motion held for several ticks, then stepped: a slow policy without interpolation."""
    every = int(s.rng.integers(2, 20))
    kept = s.q.copy()
    for count, ask in enumerate(cruise(s, share=0.5)):
        assert ask.candidate is not None
        assert ask.candidate.q is not None
        if count % every == 0:
            kept = np.array(ask.candidate.q)
        ask.candidate.q, ask.candidate.dq = kept.tolist(), [0.0] * 7 if count % 2 else None
        ask.must = s.must_for(kept)
        yield ask


def poses(s: Situation) -> Iterator[Ask]:
    """Cartesian: the tool along a line at a share of its speed, past walls and singularities."""
    T = s.tool.pose(s.q)
    speed = float(s.rng.choice([0.1, 0.5, 0.9, 1.0, 1.2])) * s.bounds.profile.tcp_speed_m_s
    heading = s.rng.standard_normal(3)
    turn = s.rng.standard_normal(3)
    turn *= s.rng.choice([0.0, 0.5, 1.1]) * s.bounds.profile.tcp_rotation_rad_s / np.linalg.norm(turn)
    heading *= speed / np.linalg.norm(heading)
    gone = 0.0
    while True:
        gone = min(gone + s.period_s / 0.3, 1.0)  # it starts softly
        if s.rng.random() < 0.01:
            T, gone = s.tool.pose(s.q), 0.0
        T = T.copy()
        T[:3, 3] += gone * heading * s.period_s
        T[:3, :3] = _turn(gone * turn * s.period_s) @ T[:3, :3]
        yield Ask(s.pose_candidate(T), s.facts())


def pose_jumps(s: Situation) -> Iterator[Ask]:
    """Cartesian: poses elsewhere, out of reach, beyond walls."""
    while True:
        T = s.tool.pose(s.q if s.rng.random() < 0.5 else s.some_pose())
        T[:3, 3] += 10.0 ** s.rng.uniform(-6, 2) * s.rng.standard_normal(3)
        T[:3, :3] = _turn(10.0 ** s.rng.uniform(-6, 0.5) * s.rng.standard_normal(3)) @ T[:3, :3]
        yield Ask(s.pose_candidate(T), s.facts())


def _turn(rotation: np.ndarray) -> np.ndarray:
    """(3, 3) from a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(rotation))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = rotation / angle
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K


# name -> (source, weight)
MOTIONS: dict[str, tuple[Source, float]] = {
    "cruise": (cruise, 3.0),
    "near_edges": (near_edges, 2.0),
    "near_singular": (near_singular, 2.0),
    "into_walls": (into_walls, 2.0),
    "ramp": (ramp, 1.5),
    "reversals": (reversals, 1.5),
    "boundary": (boundary, 2.0),
    "corners": (corners, 1.0),
    "jumps": (jumps, 0.5),
    "alternating": (alternating, 0.5),
    "drift": (drift, 0.5),
    "liar": (liar, 0.5),
    "anywhere": (anywhere, 0.3),
    "nearby": (nearby, 0.5),
    "noisy": (noisy, 1.0),
    "coarse": (coarse, 0.7),
    "poses": (poses, 1.5),
    "pose_jumps": (pose_jumps, 0.5),
}
