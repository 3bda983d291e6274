"""What the checker holds against a history: the cell's profile on the robot's limits, and every tolerance with its reason."""

from dataclasses import dataclass

import numpy as np

from hil.fuzz.arm import CheckedArm, turned_about_z
from hil.fuzz.distance import Surroundings, point_to_box
from hil.scenes import fr3
from runtime.cell import LimitsProfile, Workspace

# Limits hold to rounding: a double near 3 rad has steps of 4.4e-16, and the gate compares exactly.
ROUNDING = 1e-9  # of positions [rad], velocities [rad/s], and speeds [m/s, rad/s]
RELATIVE = 1e-6  # of differences divided by the period once (acceleration) and twice (jerk)
# Three differences of positions of 4.4e-16 rad rounding over (1 ms)^3 are 3.6e-6 rad/s3.
JERK_ROUNDING = 1e-4
# Two ways to the same distance (closed form here, iterative in coal, whose own tolerance is 1e-6 m).
DISTANCE_M = 2e-6
# A stop is predicted by a formula and run in periods: sums of at most some hundred roundings.
PREDICTED_RAD = 1e-9
FACTOR_PER_S = 1.0  # the speed limits follow a smaller speed factor at this rate,
LEAST_FACTOR = 0.05  # down to this (the gate's documented behaviour)
WINDOW_NS = 250_000_000
# A stop must brake: it may take this many times what the slowest joint alone needs at its limits. A stop along the path
# needs more than that joint when different joints set its acceleration and its jerk; twice is more than any such.
SLOW_STOP = 2.0


@dataclass(frozen=True)
class Bounds:
    """Everything a row is held against; (7,) where per joint."""

    arm: CheckedArm
    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    profile: LimitsProfile
    workspace: Workspace
    surroundings: Surroundings

    def speed_limits(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 7) up and down [rad/s]: the profile's share of the greatest speed, and the robot's own law at `q`."""
        up, down = self.arm.speed_limits(q)
        return np.minimum(self.velocity, up), np.minimum(self.velocity, down)

    def room(self, q: np.ndarray) -> np.ndarray:
        """(n,) how much room [m] the arm has at `q` (n, 7) [rad]: to others, to itself, to the end of the workspace."""
        frames = self.arm.frames(q)
        motion = self.arm.motion(frames, np.zeros_like(q))
        slack, _, _ = self.surroundings.worst(frames)
        used = [self.outside(motion.tcp), self.intrusion(motion.tcp), self.intrusion(motion.elbow), -slack]
        return -np.max(used, axis=0)

    def outside(self, tcp: np.ndarray) -> np.ndarray:
        """(n,) how far [m] the tool (n, 3) is outside of all boxes that it may be in."""
        if not self.workspace.inside:
            return np.full(len(tcp), -np.inf)
        return np.min([point_to_box(tcp, box) for box in self.workspace.inside], axis=0)

    def intrusion(self, point: np.ndarray) -> np.ndarray:
        """(n,) how far [m] a point (n, 3) is past a half-space or inside a keep-out box."""
        depths = [half.offset_m - point @ np.array(half.normal) for half in self.workspace.half_spaces]
        depths += [-point_to_box(point, box) for box in self.workspace.keep_out]
        return np.max(depths, axis=0) if depths else np.full(len(point), -np.inf)

    def stop_time(self, dq: np.ndarray, ddq: np.ndarray) -> np.ndarray:
        """(n,) [s] that the slowest joint needs to come to rest at its limits from (n, 7) `dq` and `ddq`.

        The minimal-time profile with bounded acceleration A and jerk J: first the present acceleration is taken back
        (|a| / J), then a speed w is braked in w / A + A / J, or 2 sqrt(w / J) where A is not reached.
        """
        a, j = self.acceleration, self.jerk
        left = np.abs(dq + ddq * np.abs(ddq) / (2.0 * j))
        brake = np.where(left > a * a / j, left / a + a / j, 2.0 * np.sqrt(left / j))
        return (np.abs(ddq) / j + brake).max(axis=1)


def emulated_hand() -> tuple[tuple[float, np.ndarray, np.ndarray], ...]:
    """The hand of the emulated cell in flange axes: its palm, and the fingertips' bar at full width."""
    palm = fr3.HAND_CAPSULE
    tip = fr3.TCP_OFFSET_M - FINGER_RADIUS_M
    shapes = (
        (palm.radius_m, palm.start_m, palm.end_m),
        (FINGER_RADIUS_M, (0.0, -fr3.FINGER_STROKE_M, tip), (0.0, fr3.FINGER_STROKE_M, tip)),
    )
    return tuple(
        (radius, turned_about_z(fr3.HAND_TURN_RAD, start), turned_about_z(fr3.HAND_TURN_RAD, end))
        for radius, start, end in shapes
    )


FINGER_RADIUS_M = 0.01


def bounds_of(profile: LimitsProfile, workspace: Workspace) -> Bounds:
    """For the emulated arm with its hand under a profile."""
    arm = CheckedArm(fr3.urdf(), fr3.T_flange_ee_hand(), emulated_hand())
    return Bounds(
        arm,
        arm.lower + profile.joint_margin_rad,
        arm.upper - profile.joint_margin_rad,
        profile.joint_velocity_fraction * arm.velocity,
        profile.joint_acceleration_fraction * arm.acceleration,
        profile.joint_jerk_fraction * arm.jerk,
        profile,
        workspace,
        Surroundings(arm, workspace.half_spaces, workspace.keep_out, profile.clearance_m),
    )
