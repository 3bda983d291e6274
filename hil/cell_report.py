"""The line per second that a running cell tells people: pure text from what was seen, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Rates:
    """Counts since the last line, per device."""

    counts: dict[str, int] = field(default_factory=dict)

    def rate(self, name: str, total: int, seconds: float) -> float:
        """Growth of a counter per second since this was last asked for it."""
        grown = total - self.counts.get(name, 0)
        self.counts[name] = total
        return grown / seconds if seconds > 0 else 0.0


def arm_text(name: str, status: Mapping[str, Any], rate_hz: float) -> str:
    """What one arm is doing, as `main: move, joint impedance/joint velocity, 998 Hz, 3 missed, no errors`."""
    if not status["connected"]:
        return f"{name}: no client, {status['mode']}"
    parts = [status["mode"]]
    if status["control"]:
        parts.append(f"{status['control']}/{status['generator']}")
    parts.append(f"{rate_hz:.0f} Hz")
    parts.append(f"{status['missed']} missed")
    parts.append(", ".join(status["errors"]) or "no errors")
    return f"{name}: " + ", ".join(parts)


def hand_text(name: str, status: Mapping[str, Any]) -> str:
    """What one hand is doing, as `main: 41.0 mm, moving`."""
    words = [f"{status['width_m'] * 1000:.1f} mm"]
    if not status["connected"]:
        words.insert(0, "no client")
    if status["running"]:
        words.append(status["running"])
    if status["is_grasped"]:
        words.append("holds")
    return f"{name}: " + ", ".join(words)


def objects_text(poses: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Where the objects are, in centimetres."""
    places = (f"{name} ({', '.join(f'{100 * part:.1f}' for part in pose['xyz_m'])}) cm" for name, pose in poses.items())
    return ", ".join(places)


def line(robot_time_s: float, parts: Iterable[str]) -> str:
    """One line of the report, in robot time."""
    return f"{robot_time_s:9.3f} s | " + " | ".join(part for part in parts if part)
