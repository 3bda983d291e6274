"""What a running cell tells people: one line per second, and sentences as things happen. It never holds the loop up."""

import os
import select
from collections.abc import Mapping
from typing import Any

NS_PER_S = 1_000_000_000
MAX_LINE_BYTES = 2000  # below what a pipe takes in one piece (PIPE_BUF), so that a writable pipe never blocks


class Console:
    """Writes lines to a descriptor if they can be taken at once. A reader that does not read costs lines, never time."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.lost = 0

    def say(self, text: str) -> None:
        """One line; counted in `lost` when nobody takes it."""
        if self.lost:
            text = f"({self.lost} lines were not taken) {text}"
        line = text.replace("\n", " ").encode()[: MAX_LINE_BYTES - 1] + b"\n"
        try:
            if self._poll.poll(0) == [(self._descriptor, select.POLLOUT)]:
                os.write(self._descriptor, line)
                self.lost = 0
                return
        except OSError:
            pass  # the reader has gone
        self.lost += 1


def _arm_text(name: str, arm: Mapping[str, Any], rate_hz: float) -> str:
    if not arm["connected"]:
        return f"arm {name}: {arm['mode']}, no client"
    words = [arm["mode"]]
    if arm["control"]:
        words.append(f"{arm['control']} / {arm['generator']}")
    words.append(f"{rate_hz:.0f} commands/s, {arm['missed']} missed")
    words.append(", ".join(arm["errors"]) or "no errors")
    return f"arm {name}: " + ", ".join(words)


def _hand_text(name: str, hand: Mapping[str, Any]) -> str:
    words = [f"{hand['width_m'] * 1000:.1f} mm"]
    words += [hand["running"]] if hand["running"] else []
    words += ["holds an object"] if hand["is_grasped"] else []
    words += hand["faults"]
    words += [] if hand["connected"] else ["no client"]
    return f"hand {name}: " + ", ".join(words)


class LineWriter:
    """Makes the line per second out of the cell's status; keeps the counters it had last time."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._last_robot_time_s = 0.0

    def line(self, status: Mapping[str, Any], objects: Mapping[str, Mapping[str, list[float]]], seconds: float) -> str:
        """`seconds` of the clock on the wall have passed since the last line."""
        robot_time_s = status["robot_time_s"]
        pace = (robot_time_s - self._last_robot_time_s) / seconds
        self._last_robot_time_s = robot_time_s
        parts = [f"{robot_time_s:9.3f} s ({pace:.2f} of real time)"]
        for name, arm in status["arms"].items():
            grown = arm["commands"] - self._last.get(name, 0)
            self._last[name] = arm["commands"]
            parts.append(_arm_text(name, arm, grown / seconds))
        parts += [_hand_text(name, hand) for name, hand in status["hands"].items()]
        places = (f"{name} {' '.join(f'{100 * x:.1f}' for x in pose['xyz_m'])}" for name, pose in objects.items())
        parts.append("cm: " + ", ".join(places))
        if status["pending_faults"]:
            parts.append("to come: " + "; ".join(status["pending_faults"]))
        return " | ".join(parts)
